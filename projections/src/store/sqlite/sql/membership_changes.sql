-- One row without a change carries the checkpoint when nothing changed. Everything of the last sequence is
-- there, however much it is.
SELECT json_group_array(json_array(
    checkpoints.epoch, checkpoints.sequence, hex(checkpoints.commit_id),
    m.tenant_id, m.user_id, hex(m.conversation_id), m.changed, m.is_active
) ORDER BY m.changed, m.conversation_id, m.user_id)
FROM (SELECT 1) AS one
LEFT JOIN checkpoints ON checkpoints.shard = ?1
LEFT JOIN members AS m ON m.shard = ?1 AND m.changed > ?2 AND m.changed <= coalesce((
    SELECT counted.changed FROM members AS counted
    WHERE counted.shard = ?1 AND counted.changed > ?2
    ORDER BY counted.changed LIMIT 1 OFFSET ?3 - 1
), 9223372036854775807)
