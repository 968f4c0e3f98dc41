SELECT c.conversation_id, c.member_count
FROM unnest($1::bytea[]) AS asked (conversation_id)
JOIN conversations AS c ON c.conversation_id = asked.conversation_id
