-- Where users are notified while they are away: a row per device.
CREATE TABLE push_subscriptions (
    tenant_id       TEXT    NOT NULL,
    user_id         TEXT    NOT NULL,
    subscription_id BLOB    NOT NULL,
    endpoint        TEXT    NOT NULL,
    p256dh          TEXT    NOT NULL,
    auth            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, subscription_id)
) STRICT, WITHOUT ROWID;
