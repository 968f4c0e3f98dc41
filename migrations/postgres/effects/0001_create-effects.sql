-- What goes out of the system: how far the log was looked at, which messages members are still to be chosen for, and
-- what is still to be delivered. Ids and positions alone: what people wrote is read when it is delivered.
CREATE TABLE checkpoints (
    shard     bigint PRIMARY KEY,
    epoch     text   COLLATE "C" NOT NULL,
    sequence  bigint NOT NULL,
    commit_id bytea
);

-- Messages whose recipients are chosen from `standing` on.
CREATE TABLE notices (
    event_id        bytea  PRIMARY KEY,
    shard           bigint NOT NULL,
    tenant_id       text   COLLATE "C" NOT NULL,
    conversation_id bytea  NOT NULL,
    ordinal         bigint NOT NULL,
    sender_id       text   COLLATE "C" NOT NULL,
    sequence        bigint NOT NULL,
    recorded_at     bigint NOT NULL,
    standing        bigint NOT NULL
);

CREATE INDEX notices_by_shard ON notices (shard, sequence, ordinal);

-- `recipients` is a JSON array of users. While one is being delivered, `due_at` is when it is given up and tried
-- again. One with `died_at` is a dead letter.
CREATE TABLE deliveries (
    id              text   COLLATE "C" PRIMARY KEY,
    shard           bigint NOT NULL,
    tenant_id       text   COLLATE "C" NOT NULL,
    conversation_id bytea  NOT NULL,
    ordinal         bigint NOT NULL,
    recorded_at     bigint NOT NULL,
    target          text   NOT NULL CHECK (target IN ('webhook', 'push')),
    recipients      text   NOT NULL,
    subscription_id bytea,
    attempts        bigint NOT NULL,
    due_at          bigint NOT NULL,
    claimed_by      text,
    replayed        bigint NOT NULL,
    died_at         bigint,
    reason          text
) WITH (fillfactor = 80);

CREATE INDEX deliveries_due ON deliveries (target, due_at) WHERE died_at IS NULL;
CREATE INDEX deliveries_dead ON deliveries (died_at, id) WHERE died_at IS NOT NULL;
