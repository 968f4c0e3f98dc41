INSERT INTO reactions (conversation_id, ordinal, user_id, emoji, added_at)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?1) WHERE true
ON CONFLICT (conversation_id, ordinal, user_id, emoji) DO UPDATE SET added_at = excluded.added_at
