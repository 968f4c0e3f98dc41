-- As in conversation_views.sql.
SELECT max(0, c.last_ordinal - m.read_mark - CASE WHEN m.last_own_ordinal <= m.read_mark THEN 0 ELSE
    m.own_count - coalesce((
        SELECT own.sender_seq FROM messages AS own
        WHERE own.conversation_id = m.conversation_id AND own.sender_id = m.user_id
          AND own.ordinal <= m.read_mark
        ORDER BY own.ordinal DESC LIMIT 1
    ), 0)
END - (
    SELECT count(*) FROM messages AS gone
    WHERE gone.conversation_id = m.conversation_id AND gone.ordinal > m.read_mark
      AND gone.deleted_at IS NOT NULL AND gone.sender_id <> m.user_id
) - (
    SELECT count(*) FROM hidden_messages AS h
    JOIN messages AS unseen ON unseen.conversation_id = h.conversation_id AND unseen.ordinal = h.ordinal
    WHERE h.tenant_id = m.tenant_id AND h.user_id = m.user_id AND h.conversation_id = m.conversation_id
      AND h.ordinal > m.read_mark AND unseen.deleted_at IS NULL AND unseen.sender_id <> m.user_id
)) AS unread_count
FROM members AS m
CROSS JOIN conversations AS c ON c.conversation_id = m.conversation_id
WHERE m.conversation_id = ?3 AND m.user_id = ?2 AND m.tenant_id = ?1 AND m.is_active = 1
