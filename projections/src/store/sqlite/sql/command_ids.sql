SELECT json_group_array(json_array(
    coalesce((SELECT sequence FROM checkpoints WHERE shard = ?1), 0), hex(c.command_id)
))
FROM (SELECT 1) AS one
LEFT JOIN (SELECT command_id FROM commands WHERE stream = ?2 LIMIT ?3) AS c ON true
