SELECT json_group_array(json_array(asked.value, u.name, u.avatar, s.status))
FROM json_each(?2) AS asked
LEFT JOIN users AS u ON u.tenant_id = ?1 AND u.user_id = asked.value
LEFT JOIN user_statuses AS s ON s.tenant_id = ?1 AND s.user_id = asked.value
WHERE u.user_id IS NOT NULL OR s.user_id IS NOT NULL
