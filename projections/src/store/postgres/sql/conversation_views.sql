-- Unread: what came after the mark, without the own messages, the deleted and the hidden among it. An own message
-- moves the mark, so there are such only after the mark was set back. An archived conversation comes back with a
-- message, unless it is muted.
WITH generation AS (SELECT FROM checkpoints)
SELECT c.conversation_id, c.kind, c.name, c.description, c.avatar, c.owner_id,
       c.created_at, c.updated_at, c.activity_at, c.last_ordinal, c.member_count,
       newest.content AS last_message, newest.sent_at AS last_message_at, m.role,
       (st.archived_at IS NOT NULL AND ((st.is_muted AND coalesce(st.muted_until > $4, true)) IS TRUE OR c.activity_at <= st.archived_at)) AS is_archived,
       (st.is_muted AND coalesce(st.muted_until > $4, true)) IS TRUE AS is_muted, st.muted_until,
       greatest(0, c.last_ordinal - m.read_mark - CASE WHEN m.last_own_ordinal <= m.read_mark THEN 0 ELSE
           m.own_count - coalesce((
               SELECT own.sender_seq FROM messages AS own
               WHERE own.conversation_id = m.conversation_id AND own.sender_id = m.user_id
                 AND own.ordinal <= m.read_mark
               ORDER BY own.ordinal DESC LIMIT 1
           ), 0)
       END - (
           SELECT count(*) FROM messages AS gone
           WHERE gone.conversation_id = m.conversation_id AND gone.ordinal > m.read_mark
             AND gone.deleted_at IS NOT NULL AND gone.sender_id <> m.user_id
       ) - (
           SELECT count(*) FROM hidden_messages AS h
           JOIN messages AS unseen ON unseen.conversation_id = h.conversation_id AND unseen.ordinal = h.ordinal
           WHERE h.tenant_id = m.tenant_id AND h.user_id = m.user_id AND h.conversation_id = m.conversation_id
             AND h.ordinal > m.read_mark AND unseen.deleted_at IS NULL AND unseen.sender_id <> m.user_id
       )) AS unread_count
FROM unnest($3::bytea[]) WITH ORDINALITY AS asked (id, place)
JOIN members AS m
    ON m.conversation_id = asked.id AND m.user_id = $2 AND m.tenant_id = $1 AND m.is_active
JOIN conversations AS c ON c.conversation_id = m.conversation_id
LEFT JOIN settings AS st
    ON st.tenant_id = m.tenant_id AND st.user_id = m.user_id AND st.conversation_id = m.conversation_id
LEFT JOIN LATERAL (
    SELECT seen.content, seen.sent_at FROM messages AS seen
    WHERE seen.conversation_id = c.conversation_id AND NOT EXISTS (
        SELECT 1 FROM hidden_messages AS h
        WHERE h.tenant_id = m.tenant_id AND h.user_id = m.user_id
          AND h.conversation_id = seen.conversation_id AND h.ordinal = seen.ordinal
    )
    ORDER BY seen.ordinal DESC LIMIT 1
) AS newest ON true
ORDER BY asked.place
