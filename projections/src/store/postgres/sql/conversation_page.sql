-- Archived, muted and unread as in conversation_views.sql. What is not asked for is NULL, and costs nothing.
WITH generation AS (SELECT FROM checkpoints)
SELECT c.conversation_id
FROM members AS m
JOIN conversations AS c ON c.conversation_id = m.conversation_id
LEFT JOIN settings AS st
    ON st.tenant_id = m.tenant_id AND st.user_id = m.user_id AND st.conversation_id = m.conversation_id
WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.is_active
  AND ($3::bigint IS NULL OR (c.activity_at, c.conversation_id) < ($3::bigint, $4::bytea))
  AND ($7::text IS NULL OR c.kind = $7)
  AND ($8::boolean IS NULL OR $8 = (st.archived_at IS NOT NULL AND ((st.is_muted AND coalesce(st.muted_until > $6, true)) IS TRUE OR c.activity_at <= st.archived_at)))
  AND ($9::boolean IS NULL OR $9 = ((st.is_muted AND coalesce(st.muted_until > $6, true)) IS TRUE))
  AND ($10::boolean IS NULL OR $10 = (0 < greatest(0, c.last_ordinal - m.read_mark - CASE WHEN m.last_own_ordinal <= m.read_mark THEN 0 ELSE
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
  ))))
  AND ($11::text IS NULL OR strpos(c.folded_name, $11) > 0 OR EXISTS (
      SELECT 1 FROM members AS other
      JOIN users AS u ON u.tenant_id = other.tenant_id AND u.user_id = other.user_id
      WHERE other.conversation_id = m.conversation_id AND other.is_active AND other.user_id <> m.user_id
        AND strpos(u.folded_name, $11) > 0
  ))
ORDER BY c.activity_at DESC, c.conversation_id DESC
LIMIT $5
