WITH generation AS (SELECT FROM checkpoints)
SELECT m.user_id, m.role, m.joined_at, m.last_read_at, m.is_active, u.name, u.avatar, m.standing
FROM members AS me
JOIN members AS m ON m.conversation_id = me.conversation_id AND m.is_active AND m.user_id = ANY ($4::text[])
LEFT JOIN users AS u ON u.tenant_id = m.tenant_id AND u.user_id = m.user_id
WHERE me.conversation_id = $3 AND me.user_id = $2 AND me.tenant_id = $1 AND me.is_active
