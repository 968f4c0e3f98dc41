INSERT INTO conversations (
    conversation_id, tenant_id, kind, name, description, avatar, owner_id,
    created_at, updated_at, activity_at, last_ordinal, joins, member_count, folded_name
)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
       value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13
FROM jsonb_each(?1) WHERE true
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
