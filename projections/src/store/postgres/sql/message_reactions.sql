WITH generation AS (SELECT FROM checkpoints)
SELECT r.emoji, r.user_id, r.added_at
FROM members AS me
JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.ordinal = $4
JOIN reactions AS r ON r.conversation_id = s.conversation_id AND r.ordinal = s.ordinal
WHERE me.conversation_id = $3 AND me.user_id = $2 AND me.tenant_id = $1 AND me.is_active
  AND NOT EXISTS (
      SELECT 1 FROM hidden_messages AS h
      WHERE h.tenant_id = me.tenant_id AND h.user_id = me.user_id
        AND h.conversation_id = s.conversation_id AND h.ordinal = s.ordinal
  )
ORDER BY r.emoji, r.added_at, r.user_id
