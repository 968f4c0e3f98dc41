SELECT json_group_array(json_array(
    hex(m.conversation_id), m.user_id, m.tenant_id, m.role, m.standing, m.is_active, m.joined_at,
    m.read_mark, m.receipt_mark, m.last_read_at, m.own_count, m.last_own_ordinal,
    m.shard, m.changed
))
FROM jsonb_each(?1) AS asked
CROSS JOIN members AS m ON m.conversation_id = unhex(asked.value ->> 0) AND m.user_id = asked.value ->> 1
