-- The read model: everything in it is folded from the log and can be thrown away.
--
-- Ids of ours are 16 bytes, times are milliseconds since the Unix epoch. Ids of the outside are compared and
-- sorted by their bytes, whatever the database's locale is. Rows that are written again and again have room
-- to stay on their page, so that no index is touched.

-- How far each shard was taken in; moved in the transaction that takes in. Every statement locks this table
-- first: whoever holds it alone holds the whole generation still.
CREATE TABLE checkpoints (
    shard     bigint PRIMARY KEY,
    epoch     text   COLLATE "C" NOT NULL,
    sequence  bigint NOT NULL,
    commit_id bytea
) WITH (fillfactor = 50);

CREATE TABLE conversations (
    conversation_id bytea  PRIMARY KEY,
    tenant_id       text   COLLATE "C" NOT NULL,
    kind            text   NOT NULL,
    name            text,
    description     text,
    avatar          text,
    owner_id        text   COLLATE "C",
    created_at      bigint NOT NULL,
    updated_at      bigint NOT NULL,
    activity_at     bigint NOT NULL,
    last_ordinal    bigint NOT NULL,
    joins           bigint NOT NULL,
    member_count    bigint NOT NULL
) WITH (fillfactor = 80);

-- Members of now and of before. `changed` is the sequence in `shard` that last changed `is_active`. Sending
-- a message touches the sender's row alone, and none of the columns that are indexed.
CREATE TABLE members (
    conversation_id  bytea   NOT NULL,
    user_id          text    COLLATE "C" NOT NULL,
    tenant_id        text    COLLATE "C" NOT NULL,
    role             text    NOT NULL,
    standing         bigint  NOT NULL,
    is_active        boolean NOT NULL,
    joined_at        bigint  NOT NULL,
    read_mark        bigint  NOT NULL,
    receipt_mark     bigint  NOT NULL,
    last_read_at     bigint,
    own_count        bigint  NOT NULL,
    last_own_ordinal bigint  NOT NULL,
    shard            bigint  NOT NULL,
    changed          bigint  NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80);

CREATE INDEX members_by_user ON members (tenant_id, user_id, is_active, conversation_id);
CREATE INDEX members_by_change ON members (shard, changed);
CREATE INDEX members_by_standing ON members (conversation_id, standing) WHERE is_active;

-- `content` is NULL when the sender was erased. `sender_seq` counts the sender's messages here.
CREATE TABLE messages (
    conversation_id bytea  NOT NULL,
    ordinal         bigint NOT NULL,
    sender_id       text   COLLATE "C" NOT NULL,
    sender_seq      bigint NOT NULL,
    kind            text   NOT NULL,
    content         text,
    reply_to        bigint,
    sent_at         bigint NOT NULL,
    recorded_at     bigint NOT NULL,
    version         bigint NOT NULL,
    PRIMARY KEY (conversation_id, ordinal)
);

-- The newest own message at or below a mark, with its number; the oldest own message from an ordinal on.
CREATE INDEX messages_by_sender ON messages (conversation_id, sender_id, ordinal, sender_seq);

-- When a member's receipt mark advanced by reading. An own message advances it too, without a row here.
CREATE TABLE read_moves (
    conversation_id bytea  NOT NULL,
    user_id         text   COLLATE "C" NOT NULL,
    ordinal         bigint NOT NULL,
    moved_at        bigint NOT NULL,
    PRIMARY KEY (conversation_id, user_id, ordinal)
);

-- `name` and `avatar` are NULL when the user was erased.
CREATE TABLE users (
    tenant_id text COLLATE "C" NOT NULL,
    user_id   text COLLATE "C" NOT NULL,
    name      text,
    avatar    text,
    PRIMARY KEY (tenant_id, user_id)
) WITH (fillfactor = 90);

-- Commands that their client named, so that a repeat gets the first one's result.
CREATE TABLE commands (
    stream      text   COLLATE "C" NOT NULL,
    command_id  bytea  NOT NULL,
    fingerprint bytea  NOT NULL,
    sequence    bigint NOT NULL,
    recorded_at bigint NOT NULL,
    PRIMARY KEY (stream, command_id)
);

CREATE INDEX commands_by_time ON commands (recorded_at);

-- Folded states of streams, so that a long one opens as fast as a short one.
CREATE TABLE snapshots (
    stream      text   COLLATE "C" PRIMARY KEY,
    schema      text   NOT NULL,
    epoch       text   COLLATE "C" NOT NULL,
    head        bigint NOT NULL,
    commit_id   bytea  NOT NULL,
    version     bigint NOT NULL,
    recorded_at bigint NOT NULL,
    state       text   NOT NULL
);
