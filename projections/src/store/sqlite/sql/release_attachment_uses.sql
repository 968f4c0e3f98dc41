UPDATE attachment_uses SET is_live = 0 WHERE (conversation_id, ordinal) IN (
    SELECT unhex(value ->> 0), value ->> 1 FROM jsonb_each(?1)
)
