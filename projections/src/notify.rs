//! Who is to be notified of a message, and where.

use domain::push::PushTarget;
use domain::{ConversationId, MessageId, Private, PushId, TenantId, Timestamp, UserId};

/// Whose device it is.
pub type PushKey = (TenantId, UserId, PushId);

/// A device of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRow {
    /// Whose, and which.
    pub key: PushKey,
    /// Where and how it is sent to.
    pub target: PushTarget,
    /// When it was subscribed, the last time.
    pub created_at: Timestamp,
}

impl PushRow {
    /// A device as it was subscribed; none when that is erased.
    pub(crate) fn subscribed(key: PushKey, target: Private<PushTarget>, at: Timestamp) -> Option<Self> {
        match target {
            Private::Readable(target) => Some(Self {
                key,
                target,
                created_at: at,
            }),
            Private::Erased => None,
        }
    }
}

/// A device that a user is notified at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushView {
    /// The user.
    pub user: UserId,
    /// The subscription.
    pub id: PushId,
    /// Where and how it is sent to.
    pub target: PushTarget,
    /// When it was subscribed, the last time.
    pub created_at: Timestamp,
}

/// A message that members are to be notified of, and where in the log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// The message.
    pub message: MessageId,
    /// The sequence of its commit in its shard.
    pub sequence: u64,
}

impl Noticed {
    /// Where it was said.
    #[must_use]
    pub const fn conversation(&self) -> ConversationId {
        self.message.conversation
    }
}

/// A page of those who are to be notified, the longest-standing first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientPage {
    /// The users.
    pub users: Vec<UserId>,
    /// The standing at which the next page begins.
    pub next: Option<u64>,
}
