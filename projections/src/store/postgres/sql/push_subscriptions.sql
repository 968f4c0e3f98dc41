SELECT s.user_id, s.subscription_id, s.endpoint, s.p256dh, s.auth, s.created_at
FROM unnest($2::text[]) AS asked (user_id)
JOIN push_subscriptions AS s ON s.tenant_id = $1 AND s.user_id = asked.user_id
ORDER BY s.user_id, s.created_at, s.subscription_id
