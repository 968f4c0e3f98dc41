//! Who may do what in a conversation: one table.

use serde::{Deserialize, Serialize};

/// The role of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Also adds members, removes plain members, and deletes messages of others.
    Moderator,
    /// Also changes the group, its roles and all its members but the owner. A direct conversation's members
    /// are plain members.
    Admin,
}

/// Something a role may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Send a message, react to one, mark as read; change and delete what is one's own.
    Participate,
    /// Change what a group is called.
    ChangeInfo,
    /// Add members to a group.
    AddMembers,
    /// Give a member another role, or add members with a role above MEMBER.
    GrantRoles,
    /// Remove a member who has this role. The owner is removed by nobody.
    Remove(Role),
    /// Delete a message of someone else for everyone.
    DeleteOthersMessages,
}

impl Role {
    /// Whether a member with this role may do it.
    #[must_use]
    pub const fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Participate => true,
            Permission::AddMembers | Permission::DeleteOthersMessages | Permission::Remove(Self::Member) => {
                matches!(self, Self::Admin | Self::Moderator)
            }
            Permission::ChangeInfo | Permission::GrantRoles | Permission::Remove(_) => {
                matches!(self, Self::Admin)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        // What is allowed to: MEMBER, MODERATOR, ADMIN.
        let table = [
            (Permission::Participate, [true, true, true]),
            (Permission::ChangeInfo, [false, false, true]),
            (Permission::AddMembers, [false, true, true]),
            (Permission::GrantRoles, [false, false, true]),
            (Permission::Remove(Role::Member), [false, true, true]),
            (Permission::Remove(Role::Moderator), [false, false, true]),
            (Permission::Remove(Role::Admin), [false, false, true]),
            (Permission::DeleteOthersMessages, [false, true, true]),
        ];
        for (permission, allowed) in table {
            let roles = [Role::Member, Role::Moderator, Role::Admin];
            assert_eq!(
                roles.map(|role| role.allows(permission)),
                allowed,
                "{permission:?}"
            );
        }
    }
}
