SELECT coalesce(array_agg(conversation_id ORDER BY conversation_id), '{}') FROM members
WHERE tenant_id = $1 AND user_id = $2 AND is_active
