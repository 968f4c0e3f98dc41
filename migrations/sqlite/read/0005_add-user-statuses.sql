-- Whether users are let in; who has no row is. `changed` is the sequence in `shard` that last changed it.
CREATE TABLE user_statuses (
    tenant_id TEXT    NOT NULL,
    user_id   TEXT    NOT NULL,
    status    TEXT    NOT NULL,
    shard     INTEGER NOT NULL,
    changed   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_statuses_by_change ON user_statuses (shard, changed);
