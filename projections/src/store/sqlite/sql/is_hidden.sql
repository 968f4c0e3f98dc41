SELECT count(*) FROM hidden_messages
WHERE tenant_id = ?1 AND user_id = ?2 AND conversation_id = ?3 AND ordinal = ?4
