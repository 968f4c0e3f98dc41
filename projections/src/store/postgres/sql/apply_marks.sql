-- None of these columns is indexed, so the indexes of the members stay as they are.
UPDATE members SET
    read_mark = changed.read_mark,
    receipt_mark = changed.receipt_mark,
    last_read_at = changed.last_read_at,
    own_count = changed.own_count,
    last_own_ordinal = changed.last_own_ordinal
FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS changed (conversation_id, user_id, read_mark, receipt_mark, last_read_at, own_count, last_own_ordinal)
WHERE members.conversation_id = changed.conversation_id AND members.user_id = changed.user_id
