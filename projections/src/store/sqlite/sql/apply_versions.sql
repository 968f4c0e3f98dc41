INSERT INTO message_versions (conversation_id, ordinal, number, content, written_at)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?1)
