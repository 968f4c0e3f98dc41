-- The key of each user, wrapped under the master key. Deleting a row makes what that user wrote unreadable for
-- ever.
CREATE TABLE user_keys (
    tenant_id text  COLLATE "C" NOT NULL,
    user_id   text  COLLATE "C" NOT NULL,
    key_id    text  COLLATE "C" NOT NULL UNIQUE,
    wrapped   bytea NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);

-- `master` is sealed under the master key, so that another one is recognised before anything is wrapped under it.
CREATE TABLE metadata (
    name  text  COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);
