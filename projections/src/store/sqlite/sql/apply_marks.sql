-- None of these columns is indexed, so the indexes of the members stay as they are.
UPDATE members SET
    read_mark = changed.value ->> 2,
    receipt_mark = changed.value ->> 3,
    last_read_at = changed.value ->> 4,
    own_count = changed.value ->> 5,
    last_own_ordinal = changed.value ->> 6
FROM jsonb_each(?1) AS changed
WHERE members.conversation_id = unhex(changed.value ->> 0) AND members.user_id = changed.value ->> 1
