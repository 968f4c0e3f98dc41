INSERT INTO attachments (attachment_id, tenant_id, user_id, uploaded_at, upload)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[], $5::text[])
