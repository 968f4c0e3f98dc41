INSERT INTO message_versions (conversation_id, ordinal, number, content, written_at)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[])
