INSERT INTO push_subscriptions (tenant_id, user_id, subscription_id, endpoint, p256dh, auth, created_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::bigint[])
ON CONFLICT (tenant_id, user_id, subscription_id) DO UPDATE SET
    endpoint = excluded.endpoint,
    p256dh = excluded.p256dh,
    auth = excluded.auth,
    created_at = excluded.created_at
