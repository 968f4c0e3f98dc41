-- The key of each user. Deleting a row makes what that user wrote unreadable for ever.
CREATE TABLE user_keys (
    tenant_id TEXT NOT NULL,
    user_id   TEXT NOT NULL,
    key_id    TEXT NOT NULL UNIQUE,
    secret    BLOB NOT NULL CHECK (length(secret) = 32),
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;
