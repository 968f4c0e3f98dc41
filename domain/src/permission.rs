//! Who may do what in a conversation: one table.

use serde::{Deserialize, Serialize};

/// The role of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Also adds members.
    Moderator,
    /// Also changes the group. A direct conversation's members are plain members.
    Admin,
}

/// Something a role may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Send a message, mark as read.
    Participate,
    /// Add members to a group.
    AddMembers,
    /// Add members with a role above MEMBER.
    GrantRoles,
}

impl Role {
    /// Whether a member with this role may do it.
    #[must_use]
    pub const fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Participate => true,
            Permission::AddMembers => matches!(self, Self::Admin | Self::Moderator),
            Permission::GrantRoles => matches!(self, Self::Admin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        use Permission::{AddMembers, GrantRoles, Participate};
        let table = [
            (Role::Member, [true, false, false]),
            (Role::Moderator, [true, true, false]),
            (Role::Admin, [true, true, true]),
        ];
        for (role, allowed) in table {
            assert_eq!(
                [Participate, AddMembers, GrantRoles].map(|p| role.allows(p)),
                allowed,
                "{role:?}"
            );
        }
    }
}
