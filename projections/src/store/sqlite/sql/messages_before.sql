-- One row without a message says that the user is a member and there is none. The rows come in no order.
SELECT json_group_array(json_array(
    hex(s.conversation_id), s.ordinal, s.sender_id, s.kind, s.content, s.reply_to, s.sent_at, s.recorded_at
))
FROM members AS m
LEFT JOIN (
    SELECT * FROM messages WHERE conversation_id = ?3 AND ordinal < ?4 ORDER BY ordinal DESC LIMIT ?5
) AS s
WHERE m.conversation_id = ?3 AND m.user_id = ?2 AND m.tenant_id = ?1 AND m.is_active = 1
