WITH generation AS (SELECT FROM checkpoints)
SELECT s.tenant_id, s.user_id, s.status, s.changed
FROM user_statuses AS s
WHERE s.shard = $1 AND s.changed > $2
ORDER BY s.changed
LIMIT $3
