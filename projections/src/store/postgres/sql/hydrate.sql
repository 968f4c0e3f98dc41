WITH generation AS (SELECT FROM checkpoints)
SELECT s.conversation_id, s.ordinal, s.sender_id, s.kind, s.content, s.reply_to, s.sent_at, s.recorded_at,
       s.edited_at, s.deleted_at, s.attachments, s.card, answered.sender_id AS answered_sender, answered.kind AS answered_kind,
       substr(answered.content, 1, 200) AS answered_content, answered.deleted_at IS NOT NULL AS answered_deleted,
       (
           SELECT json_agg(json_build_array(emoji, number, is_mine) ORDER BY number DESC, emoji)::text
           FROM (
               SELECT r.emoji, count(*) AS number, max((r.user_id = $2)::int) AS is_mine FROM reactions AS r
               WHERE r.conversation_id = s.conversation_id AND r.ordinal = s.ordinal
               GROUP BY r.emoji
           ) AS counted
       ) AS reactions
FROM unnest($3::bytea[], $4::bigint[]) WITH ORDINALITY AS asked (id, ordinal, place)
JOIN members AS m ON m.conversation_id = asked.id AND m.user_id = $2 AND m.tenant_id = $1 AND m.is_active
JOIN messages AS s ON s.conversation_id = m.conversation_id AND s.ordinal = asked.ordinal
LEFT JOIN messages AS answered
    ON answered.conversation_id = s.conversation_id AND answered.ordinal = s.reply_to
    AND NOT EXISTS (
        SELECT 1 FROM hidden_messages AS unseen
        WHERE unseen.tenant_id = $1 AND unseen.user_id = $2
          AND unseen.conversation_id = answered.conversation_id AND unseen.ordinal = answered.ordinal
    )
WHERE NOT EXISTS (
    SELECT 1 FROM hidden_messages AS h
    WHERE h.tenant_id = $1 AND h.user_id = $2
      AND h.conversation_id = s.conversation_id AND h.ordinal = s.ordinal
)
ORDER BY asked.place
