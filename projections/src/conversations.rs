//! Conversations: what the list shows of each.

use domain::conversation::{GroupInfo, InfoChange, InfoField, Kind};
use domain::{ConversationId, Ordinal, Private, TenantId, Timestamp, UserId};

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRow {
    /// The conversation.
    pub id: ConversationId,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Direct or group.
    pub kind: Kind,
    /// What a group is called.
    pub name: Option<String>,
    /// What a group is about.
    pub description: Option<String>,
    /// A group's picture.
    pub avatar: Option<String>,
    /// The owner of a group.
    pub owner: Option<UserId>,
    /// When the creation was recorded.
    pub created_at: Timestamp,
    /// When the newest event was recorded.
    pub updated_at: Timestamp,
    /// When the newest message was recorded, or the creation.
    pub activity_at: Timestamp,
    /// The ordinal of the newest message; 0 when there is none.
    pub last_ordinal: u64,
    /// How many times someone joined: the standing of the next one.
    pub joins: u64,
    /// How many active members there are.
    pub member_count: u64,
}

impl ConversationRow {
    /// A conversation that was just created, without its members.
    pub(crate) fn created(
        (tenant, id): (TenantId, ConversationId),
        kind: Kind,
        owner: Option<UserId>,
        about: Option<Private<GroupInfo>>,
        at: Timestamp,
    ) -> Self {
        let about = match about {
            Some(Private::Readable(about)) => Some(about),
            Some(Private::Erased) | None => None,
        };
        let (name, description, avatar) = about.map_or((None, None, None), |about| {
            (
                Some(String::from(about.name)),
                about.description.map(String::from),
                about.avatar.map(String::from),
            )
        });
        Self {
            id,
            tenant,
            kind,
            name,
            description,
            avatar,
            owner,
            created_at: at,
            updated_at: at,
            activity_at: at,
            last_ordinal: 0,
            joins: 0,
            member_count: 0,
        }
    }

    /// The group is called otherwise; of an erased change only the fields are known.
    pub(crate) fn renamed(&mut self, fields: &[InfoField], change: Private<InfoChange>) {
        let change = match change {
            Private::Readable(change) => change,
            Private::Erased => InfoChange::default(),
        };
        for field in fields {
            match field {
                InfoField::Name => self.name = change.name.clone().map(String::from),
                InfoField::Description => {
                    self.description = change.description.clone().flatten().map(String::from);
                }
                InfoField::Avatar => self.avatar = change.avatar.clone().flatten().map(String::from),
            }
        }
    }

    /// The standing of the next one who joins.
    pub(crate) const fn next_standing(&mut self) -> u64 {
        let standing = self.joins;
        self.joins += 1;
        standing
    }

    /// A member left; an owner who leaves hands over.
    pub(crate) fn left(&mut self, member: &UserId, new_owner: Option<UserId>) {
        if self.owner.as_ref() == Some(member) {
            self.owner = new_owner;
        }
    }

    /// A message was sent.
    pub(crate) const fn sent(&mut self, ordinal: Ordinal, at: Timestamp) {
        self.last_ordinal = ordinal.get();
        self.activity_at = at;
    }
}
