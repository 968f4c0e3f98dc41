SELECT json_group_array(json_array(hex(c.conversation_id), c.member_count))
FROM jsonb_each(?1) AS asked
CROSS JOIN conversations AS c ON c.conversation_id = unhex(asked.value)
