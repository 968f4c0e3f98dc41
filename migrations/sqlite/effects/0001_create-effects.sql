-- What goes out of the system: how far the log was looked at, which messages members are still to be chosen for, and
-- what is still to be delivered. Ids and positions alone: what people wrote is read when it is delivered.
CREATE TABLE checkpoints (
    shard     INTEGER PRIMARY KEY,
    epoch     TEXT    NOT NULL,
    sequence  INTEGER NOT NULL,
    commit_id BLOB
) STRICT;

-- Messages whose recipients are chosen from `standing` on.
CREATE TABLE notices (
    event_id        BLOB    NOT NULL PRIMARY KEY,
    shard           INTEGER NOT NULL,
    tenant_id       TEXT    NOT NULL,
    conversation_id BLOB    NOT NULL,
    ordinal         INTEGER NOT NULL,
    sender_id       TEXT    NOT NULL,
    sequence        INTEGER NOT NULL,
    recorded_at     INTEGER NOT NULL,
    standing        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX notices_by_shard ON notices (shard, sequence, ordinal);

-- `recipients` is a JSON array of users. While one is being delivered, `due_at` is when it is given up and tried
-- again. One with `died_at` is a dead letter.
CREATE TABLE deliveries (
    id              TEXT    NOT NULL PRIMARY KEY,
    shard           INTEGER NOT NULL,
    tenant_id       TEXT    NOT NULL,
    conversation_id BLOB    NOT NULL,
    ordinal         INTEGER NOT NULL,
    recorded_at     INTEGER NOT NULL,
    target          TEXT    NOT NULL CHECK (target IN ('webhook', 'push')),
    recipients      TEXT    NOT NULL,
    subscription_id BLOB,
    attempts        INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    claimed_by      TEXT,
    replayed        INTEGER NOT NULL,
    died_at         INTEGER,
    reason          TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (target, due_at) WHERE died_at IS NULL;
CREATE INDEX deliveries_dead ON deliveries (died_at, id) WHERE died_at IS NOT NULL;
