INSERT INTO checkpoints (shard, epoch, sequence, commit_id) VALUES ($1, $2, 0, NULL) ON CONFLICT DO NOTHING
