DELETE FROM reactions
USING unnest($1::bytea[], $2::bigint[]) AS purged (conversation_id, ordinal)
WHERE reactions.conversation_id = purged.conversation_id AND reactions.ordinal = purged.ordinal
