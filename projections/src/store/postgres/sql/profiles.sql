SELECT u.user_id, u.name, u.avatar
FROM unnest($2::text[]) AS asked (user_id)
JOIN users AS u ON u.tenant_id = $1 AND u.user_id = asked.user_id
