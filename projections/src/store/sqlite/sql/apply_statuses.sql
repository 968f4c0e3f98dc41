INSERT INTO user_statuses (tenant_id, user_id, status, shard, changed)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?1) WHERE true
ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    status = excluded.status,
    changed = excluded.changed
