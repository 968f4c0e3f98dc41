//! Users: what people are called, and how they keep their conversations.

use domain::user::{Profile, Status};
use domain::{ConversationId, Private, TenantId, Timestamp, UserId};

/// A user's profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The name; `None` when erased.
    pub name: Option<String>,
    /// The picture.
    pub avatar: Option<String>,
}

impl UserRow {
    /// The profile as it was written anew.
    pub(crate) fn updated(tenant: TenantId, user: UserId, profile: Private<Profile>) -> Self {
        let (name, avatar) = match profile {
            Private::Readable(Profile { name, avatar }) => (Some(name.into()), avatar.map(String::from)),
            Private::Erased => (None, None),
        };
        Self {
            tenant,
            user,
            name,
            avatar,
        }
    }
}

/// Whether a user is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The status.
    pub status: Status,
    /// The shard of the user's stream.
    pub shard: u16,
    /// The sequence there of the commit that last changed it.
    pub changed: u64,
}

/// Whose settings of which conversation.
pub type SettingsKey = (TenantId, UserId, ConversationId);

/// How a user keeps a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsRow {
    /// Whose, and of what.
    pub key: SettingsKey,
    /// When it was put away, until it was brought back.
    pub archived_at: Option<Timestamp>,
    /// Whether it was muted, and not unmuted since.
    pub is_muted: bool,
    /// When the muting ends by itself.
    pub muted_until: Option<Timestamp>,
}

impl SettingsRow {
    /// A conversation that is kept as everyone does.
    pub(crate) const fn untouched(key: SettingsKey) -> Self {
        Self {
            key,
            archived_at: None,
            is_muted: false,
            muted_until: None,
        }
    }
}
