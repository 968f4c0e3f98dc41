SELECT c.conversation_id, c.tenant_id, c.kind, c.name, c.description, c.avatar, c.owner_id,
       c.created_at, c.updated_at, c.activity_at, c.last_ordinal, c.joins, c.member_count
FROM unnest($1::bytea[]) AS asked (id)
JOIN conversations AS c ON c.conversation_id = asked.id
