WITH generation AS (SELECT FROM checkpoints)
SELECT coalesce((SELECT sequence FROM checkpoints WHERE shard = $1), 0) AS checkpoint,
       c.command_id, c.fingerprint, c.sequence
FROM (SELECT 1) AS one
LEFT JOIN commands AS c ON c.stream = $2 AND c.command_id = ANY ($3::bytea[])
