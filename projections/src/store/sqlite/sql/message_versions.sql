-- One row without a text says that the message is there, and that there was no other text.
SELECT json_group_array(json_array(v.number, v.content, v.written_at) ORDER BY v.number)
FROM members AS me
CROSS JOIN messages AS s ON s.conversation_id = me.conversation_id AND s.ordinal = ?4
LEFT JOIN message_versions AS v ON v.conversation_id = s.conversation_id AND v.ordinal = s.ordinal
WHERE me.conversation_id = ?3 AND me.user_id = ?2 AND me.tenant_id = ?1 AND me.is_active = 1
  AND NOT EXISTS (
      SELECT 1 FROM hidden_messages AS h
      WHERE h.tenant_id = me.tenant_id AND h.user_id = me.user_id
        AND h.conversation_id = s.conversation_id AND h.ordinal = s.ordinal
  )
