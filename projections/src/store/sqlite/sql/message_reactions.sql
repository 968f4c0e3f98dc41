SELECT json_group_array(json_array(r.emoji, r.user_id, r.added_at) ORDER BY r.emoji, r.added_at, r.user_id)
FROM members AS me
CROSS JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.ordinal = ?4
CROSS JOIN reactions AS r ON r.conversation_id = s.conversation_id AND r.ordinal = s.ordinal
WHERE me.conversation_id = ?3 AND me.user_id = ?2 AND me.tenant_id = ?1 AND me.is_active = 1
  AND NOT EXISTS (
      SELECT 1 FROM hidden_messages AS h
      WHERE h.tenant_id = me.tenant_id AND h.user_id = me.user_id
        AND h.conversation_id = s.conversation_id AND h.ordinal = s.ordinal
  )
