SELECT json_group_array(json_array(
    hex(s.conversation_id), s.ordinal, s.sender_id, s.sender_seq, s.kind, s.content, s.reply_to, s.sent_at,
    s.recorded_at, s.edits, s.edited_at, s.deleted_at, s.version,
    s.attachments, s.card
))
FROM jsonb_each(?1) AS asked
CROSS JOIN messages AS s ON s.conversation_id = unhex(asked.value ->> 0) AND s.ordinal = asked.value ->> 1
