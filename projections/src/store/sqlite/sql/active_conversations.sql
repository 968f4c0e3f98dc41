SELECT json_group_array(json_array(hex(conversation_id)) ORDER BY conversation_id) FROM members
WHERE tenant_id = ?1 AND user_id = ?2 AND is_active = 1
