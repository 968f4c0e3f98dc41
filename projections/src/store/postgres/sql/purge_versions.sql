DELETE FROM message_versions
USING unnest($1::bytea[], $2::bigint[]) AS purged (conversation_id, ordinal)
WHERE message_versions.conversation_id = purged.conversation_id AND message_versions.ordinal = purged.ordinal
