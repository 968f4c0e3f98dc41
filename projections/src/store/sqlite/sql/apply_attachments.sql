INSERT INTO attachments (attachment_id, tenant_id, user_id, uploaded_at, upload)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?1)
