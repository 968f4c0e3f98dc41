INSERT INTO messages (
    conversation_id, ordinal, sender_id, sender_seq, kind, content, reply_to, sent_at, recorded_at, version,
    edits, edited_at, deleted_at, attachments, card
)
SELECT * FROM unnest(
    $1::bytea[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::text[]
)
