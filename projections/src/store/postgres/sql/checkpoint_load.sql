SELECT shard, epoch, sequence, commit_id FROM checkpoints WHERE shard = $1
