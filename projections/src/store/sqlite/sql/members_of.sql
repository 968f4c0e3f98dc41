SELECT user_id FROM members
WHERE conversation_id = ?2 AND tenant_id = ?1 AND is_active = 1
ORDER BY standing
