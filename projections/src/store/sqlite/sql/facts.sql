SELECT json_group_array(json_array(
    coalesce((SELECT sequence FROM checkpoints WHERE shard = ?1), 0),
    hex(c.command_id), hex(c.fingerprint), c.sequence
))
FROM (SELECT 1)
LEFT JOIN commands AS c ON c.stream = ?2 AND c.command_id IN (SELECT unhex(value) FROM json_each(?3))
