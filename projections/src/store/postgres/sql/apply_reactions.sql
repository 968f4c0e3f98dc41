INSERT INTO reactions (conversation_id, ordinal, user_id, emoji, added_at)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])
ON CONFLICT (conversation_id, ordinal, user_id, emoji) DO UPDATE SET added_at = excluded.added_at
