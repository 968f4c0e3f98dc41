SELECT json_group_array(json_array(
    hex(m.conversation_id), m.user_id, m.role, m.joined_at, m.last_read_at, m.is_active, u.name, u.avatar
) ORDER BY asked.key, m.standing)
FROM json_each(?1) AS asked
CROSS JOIN members AS m ON m.conversation_id = unhex(asked.value) AND m.is_active = 1
    AND m.standing <= coalesce((
        SELECT ranked.standing FROM members AS ranked
        WHERE ranked.conversation_id = unhex(asked.value) AND ranked.is_active = 1
        ORDER BY ranked.standing LIMIT 1 OFFSET ?2 - 1
    ), 9223372036854775807)
LEFT JOIN users AS u ON u.tenant_id = m.tenant_id AND u.user_id = m.user_id
