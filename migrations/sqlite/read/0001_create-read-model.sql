-- The read model: everything in it is folded from the log and can be thrown away.
--
-- Ids of ours are 16 bytes, times are milliseconds since the Unix epoch. Tables that are found by
-- several columns are kept in the order of these columns (WITHOUT ROWID): the newest page of a
-- conversation lies together, and a row is one descent.

-- How far each shard was taken in; moved in the transaction that takes in.
CREATE TABLE checkpoints (
    shard     INTEGER PRIMARY KEY,
    epoch     TEXT    NOT NULL,
    sequence  INTEGER NOT NULL,
    commit_id BLOB
) STRICT;

CREATE TABLE conversations (
    conversation_id BLOB    NOT NULL PRIMARY KEY,
    tenant_id       TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    name            TEXT,
    description     TEXT,
    avatar          TEXT,
    owner_id        TEXT,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    activity_at     INTEGER NOT NULL,
    last_ordinal    INTEGER NOT NULL,
    joins           INTEGER NOT NULL,
    member_count    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Members of now and of before. `changed` is the sequence in `shard` that last changed `is_active`. Sending a message touches the sender's row alone, and none of the
-- columns that are indexed.
CREATE TABLE members (
    conversation_id  BLOB    NOT NULL,
    user_id          TEXT    NOT NULL,
    tenant_id        TEXT    NOT NULL,
    role             TEXT    NOT NULL,
    standing         INTEGER NOT NULL,
    is_active        INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    joined_at        INTEGER NOT NULL,
    read_mark        INTEGER NOT NULL,
    receipt_mark     INTEGER NOT NULL,
    last_read_at     INTEGER,
    own_count        INTEGER NOT NULL,
    last_own_ordinal INTEGER NOT NULL,
    shard            INTEGER NOT NULL,
    changed          INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (tenant_id, user_id, is_active, conversation_id);
CREATE INDEX members_by_change ON members (shard, changed);
CREATE INDEX members_by_standing ON members (conversation_id, standing) WHERE is_active = 1;

-- `content` is NULL when the sender was erased. `sender_seq` counts the sender's messages here.
CREATE TABLE messages (
    conversation_id BLOB    NOT NULL,
    ordinal         INTEGER NOT NULL,
    sender_id       TEXT    NOT NULL,
    sender_seq      INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    content         TEXT,
    reply_to        INTEGER,
    sent_at         INTEGER NOT NULL,
    recorded_at     INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, ordinal)
) STRICT, WITHOUT ROWID;

-- The newest own message at or below a mark, with its number; the oldest own message from an ordinal on.
CREATE INDEX messages_by_sender ON messages (conversation_id, sender_id, ordinal, sender_seq);

-- When a member's receipt mark advanced by reading. An own message advances it too, without a row here.
CREATE TABLE read_moves (
    conversation_id BLOB    NOT NULL,
    user_id         TEXT    NOT NULL,
    ordinal         INTEGER NOT NULL,
    moved_at        INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id, ordinal)
) STRICT, WITHOUT ROWID;

-- `name` and `avatar` are NULL when the user was erased.
CREATE TABLE users (
    tenant_id TEXT NOT NULL,
    user_id   TEXT NOT NULL,
    name      TEXT,
    avatar    TEXT,
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;

-- Commands that their client named, so that a repeat gets the first one's result.
CREATE TABLE commands (
    stream      TEXT    NOT NULL,
    command_id  BLOB    NOT NULL,
    fingerprint BLOB    NOT NULL,
    sequence    INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (stream, command_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX commands_by_time ON commands (recorded_at);

-- Folded states of streams, so that a long one opens as fast as a short one.
CREATE TABLE snapshots (
    stream      TEXT    NOT NULL PRIMARY KEY,
    schema      TEXT    NOT NULL,
    epoch       TEXT    NOT NULL,
    head        INTEGER NOT NULL,
    commit_id   BLOB    NOT NULL,
    version     INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    state       TEXT    NOT NULL
) STRICT;
