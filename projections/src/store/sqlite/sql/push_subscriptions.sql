SELECT json_group_array(json_array(
    s.user_id, hex(s.subscription_id), s.endpoint, s.p256dh, s.auth, s.created_at
) ORDER BY s.user_id, s.created_at, s.subscription_id)
FROM json_each(?2) AS asked
CROSS JOIN push_subscriptions AS s ON s.tenant_id = ?1 AND s.user_id = asked.value
