INSERT INTO users (tenant_id, user_id, name, avatar, folded_name)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    name = excluded.name,
    avatar = excluded.avatar,
    folded_name = excluded.folded_name
