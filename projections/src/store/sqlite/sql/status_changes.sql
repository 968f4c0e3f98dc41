SELECT json_group_array(json_array(s.tenant_id, s.user_id, s.status, s.changed) ORDER BY s.changed)
FROM (
    SELECT * FROM user_statuses WHERE shard = ?1 AND changed > ?2 ORDER BY changed LIMIT ?3
) AS s
