SELECT json_group_array(json_array(u.user_id, u.name, u.avatar))
FROM json_each(?2) AS asked
CROSS JOIN users AS u ON u.tenant_id = ?1 AND u.user_id = asked.value
