SELECT json_group_array(json_array(user_id) ORDER BY standing) FROM members
WHERE conversation_id = ?2 AND tenant_id = ?1 AND is_active = 1
