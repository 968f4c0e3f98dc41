DELETE FROM reactions WHERE (conversation_id, ordinal, user_id, emoji) IN (
    SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?1)
)
