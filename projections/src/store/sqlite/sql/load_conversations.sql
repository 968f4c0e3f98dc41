SELECT json_group_array(json_array(
    hex(c.conversation_id), c.tenant_id, c.kind, c.name, c.description, c.avatar, c.owner_id,
    c.created_at, c.updated_at, c.activity_at, c.last_ordinal, c.joins, c.member_count
))
FROM json_each(?1) AS asked
CROSS JOIN conversations AS c ON c.conversation_id = unhex(asked.value)
