-- A receipt mark advances by reading (a move) or by sending, at ordinals that only rise. So the first step
-- that reached the message is the lowest at or above it, of both.
SELECT json_group_array(json_array(
    m.user_id,
    CASE WHEN own.ordinal IS NULL OR moved.ordinal < own.ordinal THEN moved.moved_at
         ELSE own.recorded_at END
) ORDER BY m.user_id)
FROM members AS me
CROSS JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.ordinal = ?4
CROSS JOIN members AS m ON m.conversation_id = s.conversation_id AND m.user_id <> s.sender_id
    AND m.receipt_mark >= s.ordinal
LEFT JOIN read_moves AS moved
    ON moved.conversation_id = m.conversation_id AND moved.user_id = m.user_id AND moved.ordinal = (
        SELECT min(later.ordinal) FROM read_moves AS later
        WHERE later.conversation_id = m.conversation_id AND later.user_id = m.user_id AND later.ordinal >= ?4
    )
LEFT JOIN messages AS own
    ON own.conversation_id = m.conversation_id AND own.ordinal = (
        SELECT min(later.ordinal) FROM messages AS later
        WHERE later.conversation_id = m.conversation_id AND later.sender_id = m.user_id AND later.ordinal >= ?4
    )
WHERE me.conversation_id = ?3 AND me.user_id = ?2 AND me.tenant_id = ?1 AND me.is_active = 1
