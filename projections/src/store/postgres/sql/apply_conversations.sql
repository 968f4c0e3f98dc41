INSERT INTO conversations (
    conversation_id, tenant_id, kind, name, description, avatar, owner_id,
    created_at, updated_at, activity_at, last_ordinal, joins, member_count, folded_name
)
SELECT * FROM unnest(
    $1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[]
)
ON CONFLICT (conversation_id) DO UPDATE SET
    name = excluded.name,
    folded_name = excluded.folded_name,
    description = excluded.description,
    avatar = excluded.avatar,
    owner_id = excluded.owner_id,
    updated_at = excluded.updated_at,
    activity_at = excluded.activity_at,
    last_ordinal = excluded.last_ordinal,
    joins = excluded.joins,
    member_count = excluded.member_count
