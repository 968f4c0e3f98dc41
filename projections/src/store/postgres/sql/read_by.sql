-- A receipt mark advances by reading (a move) or by sending, at ordinals that only rise. So the first step
-- that reached the message is the lowest at or above it, of both.
WITH generation AS (SELECT FROM checkpoints)
SELECT m.user_id,
       CASE WHEN own.ordinal IS NULL OR moved.ordinal < own.ordinal THEN moved.moved_at
            ELSE own.recorded_at END AS read_at
FROM members AS me
JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.ordinal = $4
JOIN members AS m ON m.conversation_id = s.conversation_id AND m.user_id <> s.sender_id
    AND m.receipt_mark >= s.ordinal
LEFT JOIN LATERAL (
    SELECT later.ordinal, later.moved_at FROM read_moves AS later
    WHERE later.conversation_id = m.conversation_id AND later.user_id = m.user_id AND later.ordinal >= $4
    ORDER BY later.ordinal LIMIT 1
) AS moved ON true
LEFT JOIN LATERAL (
    SELECT later.ordinal, later.recorded_at FROM messages AS later
    WHERE later.conversation_id = m.conversation_id AND later.sender_id = m.user_id AND later.ordinal >= $4
    ORDER BY later.ordinal LIMIT 1
) AS own ON true
WHERE me.conversation_id = $3 AND me.user_id = $2 AND me.tenant_id = $1 AND me.is_active
ORDER BY m.user_id
