WITH generation AS (SELECT FROM checkpoints)
SELECT c.conversation_id
FROM members AS m
JOIN conversations AS c ON c.conversation_id = m.conversation_id
WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.is_active
  AND ($3::bigint IS NULL OR (c.activity_at, c.conversation_id) < ($3::bigint, $4::bytea))
ORDER BY c.activity_at DESC, c.conversation_id DESC
LIMIT $5
