UPDATE checkpoints SET sequence = $4, commit_id = $5 WHERE shard = $1 AND epoch = $2 AND sequence = $3
