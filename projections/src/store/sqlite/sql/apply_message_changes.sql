UPDATE messages SET
    content = changed.value ->> 2,
    edits = changed.value ->> 3,
    edited_at = changed.value ->> 4,
    deleted_at = changed.value ->> 5,
    version = changed.value ->> 6,
    attachments = changed.value ->> 7,
    card = changed.value ->> 8
FROM jsonb_each(?1) AS changed
WHERE messages.conversation_id = unhex(changed.value ->> 0) AND messages.ordinal = changed.value ->> 1
