INSERT INTO user_statuses (tenant_id, user_id, status, shard, changed)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    status = excluded.status,
    changed = excluded.changed
