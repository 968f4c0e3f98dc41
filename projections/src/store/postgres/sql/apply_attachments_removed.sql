DELETE FROM attachments USING unnest($1::bytea[]) AS removed (attachment_id)
WHERE attachments.attachment_id = removed.attachment_id
