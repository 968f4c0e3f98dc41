UPDATE attachment_uses SET is_live = false
FROM unnest($1::bytea[], $2::bigint[]) AS purged (conversation_id, ordinal)
WHERE attachment_uses.conversation_id = purged.conversation_id AND attachment_uses.ordinal = purged.ordinal
