WITH generation AS (SELECT FROM checkpoints)
SELECT s.conversation_id, s.ordinal, s.sender_id, s.kind, s.content, s.reply_to, s.sent_at, s.recorded_at
FROM unnest($3::bytea[], $4::bigint[]) WITH ORDINALITY AS asked (id, ordinal, place)
JOIN members AS m ON m.conversation_id = asked.id AND m.user_id = $2 AND m.tenant_id = $1 AND m.is_active
JOIN messages AS s ON s.conversation_id = m.conversation_id AND s.ordinal = asked.ordinal
ORDER BY asked.place
