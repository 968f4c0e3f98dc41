DELETE FROM push_subscriptions AS s
USING unnest($1::text[], $2::text[], $3::bytea[]) AS ended (tenant_id, user_id, subscription_id)
WHERE s.tenant_id = ended.tenant_id AND s.user_id = ended.user_id AND s.subscription_id = ended.subscription_id
