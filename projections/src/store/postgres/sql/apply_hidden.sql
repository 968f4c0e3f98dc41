INSERT INTO hidden_messages (tenant_id, user_id, conversation_id, ordinal)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[])
ON CONFLICT DO NOTHING
