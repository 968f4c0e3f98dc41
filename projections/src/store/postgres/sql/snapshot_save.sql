INSERT INTO snapshots (stream, schema, epoch, head, commit_id, version, recorded_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (stream) DO UPDATE SET
    schema = excluded.schema,
    epoch = excluded.epoch,
    head = excluded.head,
    commit_id = excluded.commit_id,
    version = excluded.version,
    recorded_at = excluded.recorded_at,
    state = excluded.state
WHERE excluded.epoch <> snapshots.epoch OR excluded.head >= snapshots.head
