INSERT INTO members (
    conversation_id, user_id, tenant_id, role, standing, is_active, joined_at,
    read_mark, receipt_mark, last_read_at, own_count, last_own_ordinal, shard, changed
)
SELECT * FROM unnest(
    $1::bytea[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::boolean[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]
)
ON CONFLICT (conversation_id, user_id) DO UPDATE SET
    role = excluded.role,
    standing = excluded.standing,
    is_active = excluded.is_active,
    joined_at = excluded.joined_at,
    read_mark = excluded.read_mark,
    receipt_mark = excluded.receipt_mark,
    last_read_at = excluded.last_read_at,
    own_count = excluded.own_count,
    last_own_ordinal = excluded.last_own_ordinal,
    changed = excluded.changed
