SELECT json_group_array(json_array(m.sender_id))
FROM (
    SELECT DISTINCT sender_id FROM messages WHERE conversation_id = ?1 AND ordinal > ?2 AND ordinal <= ?3
) AS m
