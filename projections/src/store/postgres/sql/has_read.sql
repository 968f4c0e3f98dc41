SELECT count(*) FROM members
WHERE conversation_id = $3 AND user_id = $2 AND tenant_id = $1 AND is_active AND receipt_mark >= $4
