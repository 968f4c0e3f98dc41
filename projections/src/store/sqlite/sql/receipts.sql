-- A receipt mark advances by reading (a move) or by sending, at ordinals that only rise. So the first step
-- that reached the message is the lowest at or above it, of both. One row without a reader says that the
-- message is there and that nobody on this page has read it.
WITH asked AS MATERIALIZED (
    SELECT s.conversation_id, s.ordinal, s.sender_id,
           c.member_count - (
               SELECT count(*) FROM members AS w
               WHERE w.conversation_id = s.conversation_id AND w.user_id = s.sender_id AND w.is_active = 1
           ) AS total,
           (
               SELECT count(*) FROM members AS r
               WHERE r.conversation_id = s.conversation_id AND r.is_active = 1
                 AND r.user_id <> s.sender_id AND r.receipt_mark >= s.ordinal
           ) AS read_count
    FROM members AS me
    CROSS JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.ordinal = ?4
    CROSS JOIN conversations AS c ON c.conversation_id = me.conversation_id
    WHERE me.conversation_id = ?3 AND me.user_id = ?2 AND me.tenant_id = ?1 AND me.is_active = 1
),
page AS MATERIALIZED (
    SELECT m.conversation_id, m.user_id
    FROM asked
    CROSS JOIN members AS m ON m.conversation_id = asked.conversation_id AND m.user_id > ?5
        AND m.user_id <> asked.sender_id AND m.receipt_mark >= asked.ordinal
    ORDER BY m.user_id LIMIT ?6
)
SELECT json_group_array(json_array(
    asked.total, asked.read_count, page.user_id,
    CASE WHEN own.ordinal IS NULL OR moved.ordinal < own.ordinal THEN moved.moved_at
         ELSE own.recorded_at END
) ORDER BY page.user_id)
FROM asked
LEFT JOIN page ON true
LEFT JOIN read_moves AS moved
    ON moved.conversation_id = page.conversation_id AND moved.user_id = page.user_id AND moved.ordinal = (
        SELECT min(later.ordinal) FROM read_moves AS later
        WHERE later.conversation_id = page.conversation_id AND later.user_id = page.user_id
          AND later.ordinal >= ?4
    )
LEFT JOIN messages AS own
    ON own.conversation_id = page.conversation_id AND own.ordinal = (
        SELECT min(later.ordinal) FROM messages AS later
        WHERE later.conversation_id = page.conversation_id AND later.sender_id = page.user_id
          AND later.ordinal >= ?4
    )
