SELECT a.attachment_id, a.tenant_id, a.user_id, a.uploaded_at, a.upload,
    EXISTS (SELECT 1 FROM attachment_uses AS u WHERE u.attachment_id = a.attachment_id) AS was_used,
    EXISTS (SELECT 1 FROM attachment_uses AS u WHERE u.attachment_id = a.attachment_id AND u.is_live) AS is_used
FROM attachments AS a
WHERE a.attachment_id = $3 AND a.tenant_id = $1 AND (a.user_id = $2 OR EXISTS (
    SELECT 1 FROM attachment_uses AS u
    JOIN members AS m ON m.conversation_id = u.conversation_id AND m.user_id = $2
        AND m.tenant_id = $1 AND m.is_active
    WHERE u.attachment_id = a.attachment_id AND u.is_live AND NOT EXISTS (
        SELECT 1 FROM hidden_messages AS h
        WHERE h.tenant_id = $1 AND h.user_id = $2
            AND h.conversation_id = u.conversation_id AND h.ordinal = u.ordinal
    )
))
