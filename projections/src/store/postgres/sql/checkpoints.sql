SELECT shard, epoch, sequence, commit_id FROM checkpoints ORDER BY shard
