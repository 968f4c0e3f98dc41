SELECT schema, epoch, head, commit_id, version, recorded_at, state FROM snapshots WHERE stream = $1
