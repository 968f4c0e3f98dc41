WITH generation AS (SELECT FROM checkpoints)
SELECT asked.user_id, u.name, u.avatar, s.status
FROM unnest($2::text[]) AS asked (user_id)
LEFT JOIN users AS u ON u.tenant_id = $1 AND u.user_id = asked.user_id
LEFT JOIN user_statuses AS s ON s.tenant_id = $1 AND s.user_id = asked.user_id
WHERE u.user_id IS NOT NULL OR s.user_id IS NOT NULL
