-- A row for each reaction of the user who is asked about, and one for a message without such; one row without a
-- message carries the checkpoint when none is known.
WITH generation AS (SELECT FROM checkpoints)
SELECT coalesce((SELECT sequence FROM checkpoints WHERE shard = $1), 0) AS checkpoint,
       s.ordinal, s.sender_id, s.kind, s.reply_to, s.sent_at, s.deleted_at IS NOT NULL AS is_deleted,
       r.user_id, r.emoji
FROM (SELECT 1) AS one
LEFT JOIN (
    unnest($3::bigint[], $4::text[]) AS asked (ordinal, user_id)
    JOIN messages AS s ON s.conversation_id = $2 AND s.ordinal = asked.ordinal
    LEFT JOIN reactions AS r
        ON r.conversation_id = s.conversation_id AND r.ordinal = s.ordinal AND r.user_id = asked.user_id
) ON true
