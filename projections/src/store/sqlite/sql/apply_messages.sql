INSERT INTO messages (
    conversation_id, ordinal, sender_id, sender_seq, kind, content, reply_to, sent_at, recorded_at, version,
    edits, edited_at, deleted_at, attachments, card
)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
       value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12,
       value ->> 13, value ->> 14
FROM jsonb_each(?1)
