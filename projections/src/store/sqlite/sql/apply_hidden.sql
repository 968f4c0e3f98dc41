INSERT INTO hidden_messages (tenant_id, user_id, conversation_id, ordinal)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3 FROM jsonb_each(?1) WHERE true
ON CONFLICT DO NOTHING
