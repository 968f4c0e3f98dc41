SELECT json_group_array(json_array(
    s.tenant_id, s.user_id, hex(s.conversation_id), s.archived_at, s.is_muted, s.muted_until
))
FROM jsonb_each(?1) AS asked
CROSS JOIN settings AS s ON s.tenant_id = asked.value ->> 0 AND s.user_id = asked.value ->> 1
    AND s.conversation_id = unhex(asked.value ->> 2)
