-- Whether users are let in; who has no row is. `changed` is the sequence in `shard` that last changed it.
CREATE TABLE user_statuses (
    tenant_id text   COLLATE "C" NOT NULL,
    user_id   text   COLLATE "C" NOT NULL,
    status    text   NOT NULL,
    shard     bigint NOT NULL,
    changed   bigint NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);

CREATE INDEX user_statuses_by_change ON user_statuses (shard, changed);
