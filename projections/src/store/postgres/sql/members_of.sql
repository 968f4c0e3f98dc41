WITH generation AS (SELECT FROM checkpoints)
SELECT user_id FROM members
WHERE conversation_id = $2 AND tenant_id = $1 AND is_active
ORDER BY standing
