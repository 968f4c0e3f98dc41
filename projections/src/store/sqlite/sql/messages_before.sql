-- One row without a message says that the user is a member and there is none.
SELECT s.conversation_id, s.ordinal, s.sender_id, s.kind, s.content, s.reply_to, s.sent_at, s.recorded_at
FROM members AS m
LEFT JOIN messages AS s ON s.conversation_id = m.conversation_id AND s.ordinal < ?4
WHERE m.conversation_id = ?3 AND m.user_id = ?2 AND m.tenant_id = ?1 AND m.is_active = 1
ORDER BY s.ordinal DESC
LIMIT ?5
