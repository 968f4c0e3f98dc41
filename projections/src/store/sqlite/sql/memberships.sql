SELECT NULL AS conversation_id, shard, sequence FROM checkpoints
UNION ALL
SELECT conversation_id, NULL, NULL FROM members WHERE tenant_id = ?1 AND user_id = ?2 AND is_active = 1
