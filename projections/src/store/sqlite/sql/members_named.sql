SELECT json_group_array(json_array(
    m.user_id, m.role, m.joined_at, m.last_read_at, m.is_active, u.name, u.avatar, m.standing
))
FROM members AS me
CROSS JOIN members AS m ON m.conversation_id = me.conversation_id AND m.is_active = 1
    AND m.user_id IN (SELECT value FROM json_each(?4))
LEFT JOIN users AS u ON u.tenant_id = m.tenant_id AND u.user_id = m.user_id
WHERE me.conversation_id = ?3 AND me.user_id = ?2 AND me.tenant_id = ?1 AND me.is_active = 1
