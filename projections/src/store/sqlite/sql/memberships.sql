-- Checkpoints have no conversation, and come first.
SELECT json_group_array(json_array(hex(conversation_id), shard, sequence, epoch, hex(commit_id), is_active))
FROM (
    SELECT NULL AS conversation_id, shard, sequence, epoch, commit_id, NULL AS is_active FROM checkpoints
    UNION ALL
    SELECT conversation_id, shard, changed, NULL, NULL, is_active FROM members WHERE tenant_id = ?1 AND user_id = ?2
    ORDER BY conversation_id NULLS FIRST, shard
)
