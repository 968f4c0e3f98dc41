INSERT INTO settings (tenant_id, user_id, conversation_id, archived_at, is_muted, muted_until)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5
FROM jsonb_each(?1) WHERE true
ON CONFLICT (tenant_id, user_id, conversation_id) DO UPDATE SET
    archived_at = excluded.archived_at,
    is_muted = excluded.is_muted,
    muted_until = excluded.muted_until
