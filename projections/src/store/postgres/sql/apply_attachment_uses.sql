INSERT INTO attachment_uses (conversation_id, ordinal, attachment_id, is_live)
SELECT conversation_id, ordinal, attachment_id, true
FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) AS used (conversation_id, ordinal, attachment_id)
