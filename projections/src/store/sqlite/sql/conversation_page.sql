SELECT json_group_array(json_array(hex(conversation_id))) FROM (
    SELECT c.conversation_id
    FROM members AS m
    CROSS JOIN conversations AS c ON c.conversation_id = m.conversation_id
    WHERE m.tenant_id = ?1 AND m.user_id = ?2 AND m.is_active = 1
      AND (?3 IS NULL OR (c.activity_at, c.conversation_id) < (?3, ?4))
    ORDER BY c.activity_at DESC, c.conversation_id DESC
    LIMIT ?5
)
