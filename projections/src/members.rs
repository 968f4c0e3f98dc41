//! Members: who is in a conversation, what they may do, and how far they have read.

use domain::conversation::reads::{self, Marks};
use domain::permission::Role;
use domain::{ConversationId, Ordinal, TenantId, Timestamp, UserId};

use crate::fold::At;

/// A member, active or not: who comes back finds the own receipts and counts again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// The tenant of both.
    pub tenant: TenantId,
    /// What the member may do.
    pub role: Role,
    /// Rank by time of joining: lower has been here longer.
    pub standing: u64,
    /// Whether the user is a member now.
    pub is_active: bool,
    /// When the member joined, the last time.
    pub joined_at: Timestamp,
    /// The read mark and the receipt mark.
    pub marks: Marks,
    /// When the receipt mark last advanced.
    pub last_read_at: Option<Timestamp>,
    /// How many messages the member sent here.
    pub own_count: u64,
    /// The ordinal of the newest of them; 0 when there is none.
    pub last_own_ordinal: u64,
    /// The shard of the log that the conversation lies in.
    pub shard: u16,
    /// The sequence there of the commit that last changed whether the user is a member.
    pub changed: u64,
}

/// A receipt mark advanced by an explicit read. Own messages advance it too, without such a row: the
/// oldest own message from an ordinal on tells when that one was read.
///
/// The ordinals at which a mark advances, by reading or by sending, only ever rise, so the first step
/// that reached an ordinal is the lowest one at or above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadMoveRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// Whose mark it is.
    pub user: UserId,
    /// Where it is now.
    pub ordinal: Ordinal,
    /// When that was recorded.
    pub at: Timestamp,
}

impl MemberRow {
    /// Someone who never was a member, before joining.
    pub(crate) fn stranger(conversation: ConversationId, tenant: TenantId, user: UserId, shard: u16) -> Self {
        Self {
            conversation,
            user,
            tenant,
            role: Role::Member,
            standing: 0,
            is_active: false,
            joined_at: Timestamp::default(),
            marks: Marks::default(),
            last_read_at: None,
            own_count: 0,
            last_own_ordinal: 0,
            shard,
            changed: 0,
        }
    }

    /// Joins, or joins again.
    pub(crate) fn joined(&mut self, role: Role, standing: u64, last_ordinal: u64, at: &At) {
        self.role = role;
        self.standing = standing;
        self.turned(true, at.sequence);
        self.joined_at = at.time;
        self.marks.join(last_ordinal);
    }

    /// Leaves.
    pub(crate) const fn left(&mut self, sequence: u64) {
        self.turned(false, sequence);
    }

    const fn turned(&mut self, is_active: bool, sequence: u64) {
        if self.is_active != is_active {
            self.is_active = is_active;
            self.changed = sequence;
        }
    }

    /// Sends a message; answers that it is the member's n-th here.
    pub(crate) fn sent(&mut self, ordinal: Ordinal, at: Timestamp) -> u64 {
        self.own_count += 1;
        self.last_own_ordinal = ordinal.get();
        self.moving(at, |marks| marks.sent(ordinal));
        self.own_count
    }

    /// Reads, or marks as unread; answers where the receipt mark advanced to, if it did.
    pub(crate) fn read(&mut self, event: &reads::Event, at: Timestamp) -> Option<ReadMoveRow> {
        let ordinal = self.moving(at, |marks| marks.apply(event))?;
        Some(ReadMoveRow {
            conversation: self.conversation,
            user: self.user.clone(),
            ordinal,
            at,
        })
    }

    fn moving(&mut self, at: Timestamp, change: impl FnOnce(&mut Marks)) -> Option<Ordinal> {
        let before = self.marks.receipt;
        change(&mut self.marks);
        if self.marks.receipt == before {
            return None;
        }
        self.last_read_at = Some(at);
        Ordinal::new(self.marks.receipt)
    }
}
