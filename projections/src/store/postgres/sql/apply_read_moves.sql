INSERT INTO read_moves (conversation_id, user_id, ordinal, moved_at)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[])
