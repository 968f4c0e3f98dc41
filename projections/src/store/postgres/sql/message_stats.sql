-- How many messages there are of each type, sender and day (since 1970, in UTC).
WITH generation AS (SELECT FROM checkpoints)
SELECT s.kind, s.sender_id, floor(s.sent_at / 86400000.0)::bigint AS day, count(*) AS number,
    min(s.sent_at) AS first_at, max(s.sent_at) AS last_at,
    coalesce(sum(json_array_length(s.attachments::json)), 0)::bigint AS files
FROM members AS me
JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.deleted_at IS NULL
WHERE me.conversation_id = $3 AND me.user_id = $2 AND me.tenant_id = $1 AND me.is_active
  AND NOT EXISTS (
      SELECT 1 FROM hidden_messages AS h
      WHERE h.tenant_id = me.tenant_id AND h.user_id = me.user_id
        AND h.conversation_id = s.conversation_id AND h.ordinal = s.ordinal
  )
GROUP BY s.kind, s.sender_id, day
