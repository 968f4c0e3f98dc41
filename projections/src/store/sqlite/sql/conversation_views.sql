-- Unread: what came after the mark, without the own messages among it. An own message moves the mark, so
-- there are such only after the mark was set back.
SELECT json_group_array(json_array(
    hex(c.conversation_id), c.kind, c.name, c.description, c.avatar, c.owner_id,
    c.created_at, c.updated_at, c.activity_at, c.last_ordinal, c.member_count,
    newest.content, newest.sent_at,
    max(0, c.last_ordinal - m.read_mark - CASE WHEN m.last_own_ordinal <= m.read_mark THEN 0 ELSE
        m.own_count - coalesce((
            SELECT own.sender_seq FROM messages AS own
            WHERE own.conversation_id = m.conversation_id AND own.sender_id = m.user_id
              AND own.ordinal <= m.read_mark
            ORDER BY own.ordinal DESC LIMIT 1
        ), 0)
    END)
) ORDER BY asked.key)
FROM json_each(?3) AS asked
CROSS JOIN members AS m
    ON m.conversation_id = unhex(asked.value) AND m.user_id = ?2 AND m.tenant_id = ?1 AND m.is_active = 1
CROSS JOIN conversations AS c ON c.conversation_id = m.conversation_id
LEFT JOIN messages AS newest
    ON newest.conversation_id = c.conversation_id AND newest.ordinal = c.last_ordinal
