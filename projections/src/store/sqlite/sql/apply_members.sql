INSERT INTO members (
    conversation_id, user_id, tenant_id, role, standing, is_active, joined_at,
    read_mark, receipt_mark, last_read_at, own_count, last_own_ordinal, shard, changed
)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
       value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12,
       value ->> 13
FROM jsonb_each(?1) WHERE true
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
