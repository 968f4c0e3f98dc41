SELECT s.conversation_id, s.ordinal, s.sender_id, s.sender_seq, s.kind, s.content, s.reply_to, s.sent_at,
       s.recorded_at, s.edits, s.edited_at, s.deleted_at, s.version,
       s.attachments, s.card
FROM unnest($1::bytea[], $2::bigint[]) AS asked (conversation_id, ordinal)
JOIN messages AS s ON s.conversation_id = asked.conversation_id AND s.ordinal = asked.ordinal
