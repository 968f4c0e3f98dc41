SELECT json_group_array(json_array(
    hex(s.conversation_id), s.ordinal, s.sender_id, s.kind, s.content, s.reply_to, s.sent_at, s.recorded_at
) ORDER BY asked.key)
FROM jsonb_each(?3) AS asked
CROSS JOIN members AS m ON m.conversation_id = unhex(asked.value ->> 0) AND m.user_id = ?2
    AND m.tenant_id = ?1 AND m.is_active = 1
CROSS JOIN messages AS s ON s.conversation_id = m.conversation_id AND s.ordinal = asked.value ->> 1
