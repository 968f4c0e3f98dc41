-- How many messages there are of each type, sender and day (since 1970, in UTC).
SELECT json_group_array(json_array(kind, sender_id, day, number, first_at, last_at, files)) FROM (
    SELECT s.kind, s.sender_id, s.sent_at / 86400000 - (s.sent_at % 86400000 < 0) AS day, count(*) AS number,
        min(s.sent_at) AS first_at, max(s.sent_at) AS last_at,
        coalesce(sum(json_array_length(s.attachments)), 0) AS files
    FROM members AS me
    CROSS JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.deleted_at IS NULL
    WHERE me.conversation_id = ?3 AND me.user_id = ?2 AND me.tenant_id = ?1 AND me.is_active = 1
      AND NOT EXISTS (
          SELECT 1 FROM hidden_messages AS h
          WHERE h.tenant_id = me.tenant_id AND h.user_id = me.user_id
            AND h.conversation_id = s.conversation_id AND h.ordinal = s.ordinal
      )
    GROUP BY s.kind, s.sender_id, day
)
