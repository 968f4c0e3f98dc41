INSERT INTO settings (tenant_id, user_id, conversation_id, archived_at, is_muted, muted_until)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::boolean[], $6::bigint[])
ON CONFLICT (tenant_id, user_id, conversation_id) DO UPDATE SET
    archived_at = excluded.archived_at,
    is_muted = excluded.is_muted,
    muted_until = excluded.muted_until
