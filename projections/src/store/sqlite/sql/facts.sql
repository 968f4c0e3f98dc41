SELECT coalesce((SELECT sequence FROM checkpoints WHERE shard = ?1), 0) AS checkpoint,
       c.command_id, c.fingerprint, c.sequence
FROM (SELECT 1)
LEFT JOIN commands AS c ON c.stream = ?2 AND c.command_id IN (SELECT unhex(value) FROM json_each(?3))
