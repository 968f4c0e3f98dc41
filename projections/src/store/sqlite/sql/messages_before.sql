-- One row without a message says that the user is a member and there is none. The rows come in no order.
SELECT json_group_array(json_array(
    hex(s.conversation_id), s.ordinal, s.sender_id, s.kind, s.content, s.reply_to, s.sent_at, s.recorded_at,
    s.edited_at, s.deleted_at, s.attachments, s.card, answered.sender_id, answered.kind, substr(answered.content, 1, 200),
    answered.deleted_at IS NOT NULL,
    (
        SELECT nullif('' || json_group_array(json_array(emoji, number, is_mine)), '[]')
        FROM (
            SELECT r.emoji, count(*) AS number, max(r.user_id = ?2) AS is_mine FROM reactions AS r
            WHERE r.conversation_id = s.conversation_id AND r.ordinal = s.ordinal
            GROUP BY r.emoji ORDER BY number DESC, r.emoji
        )
    )
))
FROM members AS m
LEFT JOIN (
    SELECT * FROM messages
    WHERE conversation_id = ?3 AND ordinal < ?4
      AND NOT EXISTS (
          SELECT 1 FROM hidden_messages AS h
          WHERE h.tenant_id = ?1 AND h.user_id = ?2
            AND h.conversation_id = messages.conversation_id AND h.ordinal = messages.ordinal
      )
    ORDER BY ordinal DESC LIMIT ?5
) AS s
LEFT JOIN messages AS answered
    ON answered.conversation_id = s.conversation_id AND answered.ordinal = s.reply_to
    AND NOT EXISTS (
        SELECT 1 FROM hidden_messages AS unseen
        WHERE unseen.tenant_id = ?1 AND unseen.user_id = ?2
          AND unseen.conversation_id = answered.conversation_id AND unseen.ordinal = answered.ordinal
    )
WHERE m.conversation_id = ?3 AND m.user_id = ?2 AND m.tenant_id = ?1 AND m.is_active = 1
