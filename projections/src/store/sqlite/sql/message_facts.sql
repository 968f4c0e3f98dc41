-- A row for each reaction of the user who is asked about, and one for a message without such; one row without a
-- message carries the checkpoint when none is known.
SELECT json_group_array(json_array(
    coalesce((SELECT sequence FROM checkpoints WHERE shard = ?1), 0),
    s.ordinal, s.sender_id, s.kind, s.reply_to, s.sent_at, s.deleted_at IS NOT NULL, r.user_id, r.emoji
))
FROM (SELECT 1) AS one
LEFT JOIN (
    jsonb_each(?3) AS asked
    CROSS JOIN messages AS s ON s.conversation_id = ?2 AND s.ordinal = asked.value ->> 0
    LEFT JOIN reactions AS r
        ON r.conversation_id = s.conversation_id AND r.ordinal = s.ordinal AND r.user_id = asked.value ->> 1
) ON true
