-- A receipt mark advances by reading (a move) or by sending, at ordinals that only rise. So the first step
-- that reached the message is the lowest at or above it, of both. One row without a reader says that the
-- message is there and that nobody on this page has read it.
WITH generation AS (SELECT FROM checkpoints),
asked AS MATERIALIZED (
    SELECT s.conversation_id, s.ordinal, s.sender_id,
           c.member_count - (
               SELECT count(*) FROM members AS w
               WHERE w.conversation_id = s.conversation_id AND w.user_id = s.sender_id AND w.is_active
           ) AS total,
           (
               SELECT count(*) FROM members AS r
               WHERE r.conversation_id = s.conversation_id AND r.is_active
                 AND r.user_id <> s.sender_id AND r.receipt_mark >= s.ordinal
           ) AS read_count
    FROM members AS me
    JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.ordinal = $4
    JOIN conversations AS c ON c.conversation_id = me.conversation_id
    WHERE me.conversation_id = $3 AND me.user_id = $2 AND me.tenant_id = $1 AND me.is_active
),
page AS MATERIALIZED (
    SELECT m.conversation_id, m.user_id
    FROM asked
    JOIN members AS m ON m.conversation_id = asked.conversation_id AND m.user_id > $5
        AND m.user_id <> asked.sender_id AND m.receipt_mark >= asked.ordinal
    ORDER BY m.user_id LIMIT $6
)
SELECT asked.total, asked.read_count, page.user_id,
       CASE WHEN own.ordinal IS NULL OR moved.ordinal < own.ordinal THEN moved.moved_at
            ELSE own.recorded_at END AS read_at
FROM asked
LEFT JOIN page ON true
LEFT JOIN LATERAL (
    SELECT later.ordinal, later.moved_at FROM read_moves AS later
    WHERE later.conversation_id = page.conversation_id AND later.user_id = page.user_id
      AND later.ordinal >= $4
    ORDER BY later.ordinal LIMIT 1
) AS moved ON true
LEFT JOIN LATERAL (
    SELECT later.ordinal, later.recorded_at FROM messages AS later
    WHERE later.conversation_id = page.conversation_id AND later.sender_id = page.user_id
      AND later.ordinal >= $4
    ORDER BY later.ordinal LIMIT 1
) AS own ON true
ORDER BY page.user_id
