-- As in conversation_views.sql.
WITH generation AS (SELECT FROM checkpoints)
SELECT count(*), count(*) FILTER (WHERE kind = 'DIRECT'), count(*) FILTER (WHERE is_archived),
       count(*) FILTER (WHERE is_muted), count(*) FILTER (WHERE unread > 0), coalesce(sum(unread), 0)::bigint
FROM (
    SELECT c.kind,
           (st.archived_at IS NOT NULL AND ((st.is_muted AND coalesce(st.muted_until > $3, true)) IS TRUE OR c.activity_at <= st.archived_at)) AS is_archived,
           (st.is_muted AND coalesce(st.muted_until > $3, true)) IS TRUE AS is_muted,
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
           )) AS unread
    FROM members AS m
    JOIN conversations AS c ON c.conversation_id = m.conversation_id
    LEFT JOIN settings AS st
        ON st.tenant_id = m.tenant_id AND st.user_id = m.user_id AND st.conversation_id = m.conversation_id
    WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.is_active
) AS kept
