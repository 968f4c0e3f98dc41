-- Those of the users who are members, have neither read nor hidden the message, are not muted, and are let in.
SELECT json_group_array(json_array(m.user_id) ORDER BY m.standing)
FROM json_each(?4) AS asked
CROSS JOIN members AS m ON m.conversation_id = ?2 AND m.user_id = asked.value
WHERE m.tenant_id = ?1 AND m.is_active = 1 AND m.read_mark < ?3
  AND NOT EXISTS (
      SELECT 1 FROM user_statuses AS us
      WHERE us.tenant_id = ?1 AND us.user_id = m.user_id AND us.status <> 'ACTIVE'
  )
  AND NOT EXISTS (
      SELECT 1 FROM settings AS st
      WHERE st.tenant_id = ?1 AND st.user_id = m.user_id AND st.conversation_id = ?2
        AND st.is_muted = 1 AND coalesce(st.muted_until > ?5, 1)
  )
  AND NOT EXISTS (
      SELECT 1 FROM hidden_messages AS h
      WHERE h.tenant_id = ?1 AND h.user_id = m.user_id AND h.conversation_id = ?2 AND h.ordinal = ?3
  )
