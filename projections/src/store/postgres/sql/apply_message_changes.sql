UPDATE messages SET
    content = changed.content,
    edits = changed.edits,
    edited_at = changed.edited_at,
    deleted_at = changed.deleted_at,
    version = changed.version,
    attachments = changed.attachments,
    card = changed.card
FROM unnest(
    $1::bytea[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
    $9::text[]
) AS changed (conversation_id, ordinal, content, edits, edited_at, deleted_at, version, attachments, card)
WHERE messages.conversation_id = changed.conversation_id AND messages.ordinal = changed.ordinal
