SELECT m.conversation_id, m.user_id, m.tenant_id, m.role, m.standing, m.is_active, m.joined_at,
       m.read_mark, m.receipt_mark, m.last_read_at, m.own_count, m.last_own_ordinal,
       m.shard, m.changed
FROM unnest($1::bytea[], $2::text[]) AS asked (conversation_id, user_id)
JOIN members AS m ON m.conversation_id = asked.conversation_id AND m.user_id = asked.user_id
