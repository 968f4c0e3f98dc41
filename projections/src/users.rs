//! Users: what people are called.

use domain::user::{Event, Profile};
use domain::{Private, TenantId, UserId};

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
    /// The profile as it is after this event.
    pub(crate) fn updated(tenant: TenantId, event: Event) -> Self {
        let Event::ProfileUpdated { user, profile } = event;
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
