SELECT s.tenant_id, s.user_id, s.conversation_id, s.archived_at, s.is_muted, s.muted_until
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS asked (tenant_id, user_id, conversation_id)
JOIN settings AS s ON s.tenant_id = asked.tenant_id AND s.user_id = asked.user_id
    AND s.conversation_id = asked.conversation_id
