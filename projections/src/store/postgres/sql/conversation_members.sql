WITH generation AS (SELECT FROM checkpoints)
SELECT m.conversation_id, m.user_id, m.role, m.joined_at, m.last_read_at, m.is_active, u.name, u.avatar
FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (id, place)
CROSS JOIN LATERAL (
    SELECT * FROM members WHERE conversation_id = asked.id AND is_active ORDER BY standing LIMIT $2
) AS m
LEFT JOIN users AS u ON u.tenant_id = m.tenant_id AND u.user_id = m.user_id
ORDER BY asked.place, m.standing
