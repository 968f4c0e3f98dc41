DELETE FROM push_subscriptions WHERE (tenant_id, user_id, subscription_id) IN (
    SELECT value ->> 0, value ->> 1, unhex(value ->> 2) FROM jsonb_each(?1)
)
