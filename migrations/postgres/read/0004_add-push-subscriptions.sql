-- Where users are notified while they are away: a row per device.
CREATE TABLE push_subscriptions (
    tenant_id       text   COLLATE "C" NOT NULL,
    user_id         text   COLLATE "C" NOT NULL,
    subscription_id bytea  NOT NULL,
    endpoint        text   NOT NULL,
    p256dh          text   NOT NULL,
    auth            text   NOT NULL,
    created_at      bigint NOT NULL,
    PRIMARY KEY (tenant_id, user_id, subscription_id)
);
