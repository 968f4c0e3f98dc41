-- Members from a standing on who were there when the message was recorded, have not read it, are not muted, and are let in.
SELECT json_group_array(json_array(user_id, standing) ORDER BY standing)
FROM (
    SELECT m.user_id, m.standing FROM members AS m
    WHERE m.conversation_id = ?2 AND m.tenant_id = ?1 AND m.is_active = 1 AND m.standing >= ?5
      AND m.changed <= ?4 AND m.read_mark < ?3
      AND NOT EXISTS (
          SELECT 1 FROM user_statuses AS us
          WHERE us.tenant_id = ?1 AND us.user_id = m.user_id AND us.status <> 'ACTIVE'
      )
      AND NOT EXISTS (
          SELECT 1 FROM settings AS st
          WHERE st.tenant_id = ?1 AND st.user_id = m.user_id AND st.conversation_id = ?2
            AND st.is_muted = 1 AND coalesce(st.muted_until > ?7, 1)
      )
    ORDER BY m.standing LIMIT ?6
)
