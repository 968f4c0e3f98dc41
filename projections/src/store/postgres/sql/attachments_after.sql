SELECT a.attachment_id, a.tenant_id, a.user_id, a.uploaded_at, a.upload,
    EXISTS (SELECT 1 FROM attachment_uses AS u WHERE u.attachment_id = a.attachment_id) AS was_used,
    EXISTS (SELECT 1 FROM attachment_uses AS u WHERE u.attachment_id = a.attachment_id AND u.is_live) AS is_used
FROM attachments AS a WHERE a.attachment_id > $1
ORDER BY a.attachment_id LIMIT $2
