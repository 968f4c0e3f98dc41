-- Checkpoints have no conversation, and come first.
SELECT NULL AS conversation_id, shard, sequence, NULL AS is_active FROM checkpoints
UNION ALL
SELECT conversation_id, shard, changed, is_active FROM members WHERE tenant_id = ?1 AND user_id = ?2
ORDER BY conversation_id NULLS FIRST, shard
