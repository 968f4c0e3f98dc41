DELETE FROM reactions
USING unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[])
    AS removed (conversation_id, ordinal, user_id, emoji)
WHERE reactions.conversation_id = removed.conversation_id AND reactions.ordinal = removed.ordinal
  AND reactions.user_id = removed.user_id AND reactions.emoji = removed.emoji
