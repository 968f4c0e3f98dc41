DELETE FROM attachments WHERE attachment_id IN (SELECT unhex(value) FROM jsonb_each(?1))
