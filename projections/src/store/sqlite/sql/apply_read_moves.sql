INSERT INTO read_moves (conversation_id, user_id, ordinal, moved_at)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?1)
