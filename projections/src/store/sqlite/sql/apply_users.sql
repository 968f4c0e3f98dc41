INSERT INTO users (tenant_id, user_id, name, avatar, folded_name)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?1) WHERE true
ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    name = excluded.name,
    avatar = excluded.avatar,
    folded_name = excluded.folded_name
