INSERT INTO attachment_uses (conversation_id, ordinal, attachment_id, is_live)
SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2), 1 FROM jsonb_each(?1)
