SELECT shard, sequence, NULL AS conversation_id FROM checkpoints
UNION ALL
SELECT NULL, NULL, conversation_id FROM members WHERE tenant_id = ?1 AND user_id = ?2 AND is_active = 1
