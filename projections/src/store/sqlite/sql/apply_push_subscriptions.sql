INSERT INTO push_subscriptions (tenant_id, user_id, subscription_id, endpoint, p256dh, auth, created_at)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM jsonb_each(?1) WHERE true
ON CONFLICT (tenant_id, user_id, subscription_id) DO UPDATE SET
    endpoint = excluded.endpoint,
    p256dh = excluded.p256dh,
    auth = excluded.auth,
    created_at = excluded.created_at
