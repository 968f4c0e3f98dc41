-- One row without a member says that the user is one, and that no more of them follow.
SELECT json_group_array(json_array(
    page.user_id, page.role, page.joined_at, page.last_read_at, page.is_active, u.name, u.avatar, page.standing
) ORDER BY page.standing)
FROM members AS me
LEFT JOIN (
    SELECT * FROM members
    WHERE conversation_id = ?3 AND is_active = 1 AND standing >= ?4
    ORDER BY standing LIMIT ?5
) AS page
LEFT JOIN users AS u ON u.tenant_id = page.tenant_id AND u.user_id = page.user_id
WHERE me.conversation_id = ?3 AND me.user_id = ?2 AND me.tenant_id = ?1 AND me.is_active = 1
