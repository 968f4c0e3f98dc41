-- Those of the users who are members, have neither read nor hidden the message, are not muted, and are let in.
WITH generation AS (SELECT FROM checkpoints)
SELECT m.user_id FROM members AS m
WHERE m.conversation_id = $2 AND m.user_id = ANY ($4::text[]) AND m.tenant_id = $1 AND m.is_active
  AND m.read_mark < $3
  AND NOT EXISTS (
      SELECT FROM user_statuses AS us
      WHERE us.tenant_id = $1 AND us.user_id = m.user_id AND us.status <> 'ACTIVE'
  )
  AND NOT EXISTS (
      SELECT FROM settings AS st
      WHERE st.tenant_id = $1 AND st.user_id = m.user_id AND st.conversation_id = $2
        AND st.is_muted AND coalesce(st.muted_until > $5, true)
  )
  AND NOT EXISTS (
      SELECT FROM hidden_messages AS h
      WHERE h.tenant_id = $1 AND h.user_id = m.user_id AND h.conversation_id = $2 AND h.ordinal = $3
  )
ORDER BY m.standing
