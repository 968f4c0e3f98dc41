//! The ports of a store: [`ReadModel`] answers what people ask, [`ProjectionStore`] takes in what the
//! projector folded. Every store passes the suite in `contract`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{ConversationId, MessageId, Ordinal, TenantId, Timestamp, UserId};
use eventstore::consumer::Checkpoint;
use eventstore::facts::FactStore;
use eventstore::snapshot::SnapshotStore;

use crate::attachments::AttachmentModel;
use crate::fold::{Changes, Keys, Rows};
use crate::notify::{Noticed, PushView, RecipientPage};
use crate::view::{
    ConversationPage, ConversationStats, ConversationView, ListRange, MemberPage, MemberView,
    MembershipChanges, Memberships, MessagePage, MessageRange, MessageTally, MessageView, Profile,
    ReactionView, ReceiptPage, ReceiptRange, StatusChange, VersionView,
};

#[macro_use]
mod statements;

mod column;
pub mod postgres;
mod rows;
mod spelling;
pub mod sqlite;

/// Why a store could not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away or busy: the same may succeed later.
    #[error("the read model is unavailable: {0}")]
    Unavailable(String),
    /// The database holds, or was given, what it must not hold: it will not heal by itself.
    #[error("the read model is damaged: {0}")]
    Damaged(String),
}

/// Why a batch was not applied. Nothing of it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApplyError {
    /// The checkpoint is not where the batch began: someone else applied in the meantime.
    #[error("the checkpoint of shard {shard} is not at sequence {expected} any more")]
    Superseded {
        /// The shard.
        shard: u16,
        /// Where the batch began.
        expected: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a projector folded out of a run of commits of one shard.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where the shard's checkpoint must be.
    pub from: Checkpoint,
    /// Where it is afterwards.
    pub to: Checkpoint,
    /// The rows.
    pub changes: Changes,
}

/// What people read. Every answer comes out of one snapshot of the database. Who is not an active
/// member of a conversation gets the answer of one that does not exist.
#[async_trait]
pub trait ReadModel: FactStore + SnapshotStore + AttachmentModel {
    /// A page of the conversations of which the user is an active member: newest activity first, among
    /// equals the greater id first. What is muted, and so what is archived, is as of `now`.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn conversations(
        &self,
        tenant: &TenantId,
        user: &UserId,
        page: ListRange<'_>,
        now: Timestamp,
    ) -> Result<ConversationPage, StoreError>;

    /// One conversation; `None` when there is none for this user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn conversation(
        &self,
        tenant: &TenantId,
        user: &UserId,
        id: ConversationId,
        now: Timestamp,
    ) -> Result<Option<ConversationView>, StoreError>;

    /// The conversations of which the user is an active member, in numbers.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn conversation_stats(
        &self,
        tenant: &TenantId,
        user: &UserId,
        now: Timestamp,
    ) -> Result<ConversationStats, StoreError>;

    /// A page of a conversation's active members from this standing on; `None` when there is no such
    /// conversation for this user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn member_page(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        from: u64,
        limit: u32,
    ) -> Result<Option<MemberPage>, StoreError>;

    /// Those of the users who are active members, in no order; none when there is no such conversation for
    /// this user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn members_named(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        names: &[UserId],
    ) -> Result<Vec<MemberView>, StoreError>;

    /// The texts that a message had before the one it has, oldest first; `None` when there is no such message
    /// for this user. Of a deleted one there are none.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn message_versions(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<Option<Vec<VersionView>>, StoreError>;

    /// Whether the user hid a message.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn is_hidden(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<bool, StoreError>;

    /// The reactions to a message, by emoji, each the oldest first; none when there is no such message for
    /// this user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn message_reactions(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<Vec<ReactionView>, StoreError>;

    /// How many messages a conversation has, by type, sender and day; none when there is no such conversation
    /// for this user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn message_stats(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Vec<MessageTally>, StoreError>;

    /// A page of a conversation's messages, without those that the user hid; `None` when there is no such conversation for this user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn messages(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        range: MessageRange,
    ) -> Result<Option<MessagePage>, StoreError>;

    /// Those of the messages that exist for this user, in the order they were asked for.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn hydrate(
        &self,
        tenant: &TenantId,
        user: &UserId,
        ids: &[MessageId],
    ) -> Result<Vec<MessageView>, StoreError>;

    /// How many messages of others are above the user's read mark; `None` when there is no such
    /// conversation for this user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn unread(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Option<u64>, StoreError>;

    /// The conversations of which the user is an active member, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn active_conversations(
        &self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Arc<[ConversationId]>, StoreError>;

    /// The conversations of which the user is or was a member, and the checkpoints they are as of.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn memberships(&self, tenant: &TenantId, user: &UserId) -> Result<Memberships, StoreError>;

    /// The memberships of this shard that changed after this sequence, and the checkpoint they are as of.
    /// A page never ends within a commit, so it may have a few more than `limit`; one with fewer is the last.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn membership_changes(
        &self,
        shard: u16,
        after: u64,
        limit: u32,
    ) -> Result<MembershipChanges, StoreError>;

    /// The active members of a conversation, the longest-standing first; none when it does not exist.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn members_of(
        &self,
        tenant: &TenantId,
        conversation: ConversationId,
    ) -> Result<Vec<UserId>, StoreError>;

    /// How many active members those of the conversations have that exist, of whatever tenant.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn sizes(
        &self,
        conversations: &[ConversationId],
    ) -> Result<BTreeMap<ConversationId, u64>, StoreError>;

    /// Who wrote the messages of a conversation above one up to another, in no order.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn authors(
        &self,
        conversation: ConversationId,
        above: u64,
        up_to: Ordinal,
    ) -> Result<Vec<UserId>, StoreError>;

    /// The users of this shard whose status changed after this sequence, each with the newest, in the order of
    /// the log.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn status_changes(
        &self,
        shard: u16,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StatusChange>, StoreError>;

    /// The profiles of those of the users that something is known of.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn profiles(
        &self,
        tenant: &TenantId,
        users: &[UserId],
    ) -> Result<BTreeMap<UserId, Profile>, StoreError>;

    /// Who but its sender has read a message, and since when: a page by user, of those after this one; who left
    /// meanwhile is among them. `None` when there is no such message for this user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn receipts(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
        page: ReceiptRange<'_>,
    ) -> Result<Option<ReceiptPage>, StoreError>;

    /// Whether others know that the user, a member, has read up to a message, or beyond.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn has_read(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<bool, StoreError>;

    /// The devices of these users, by user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn push_subscriptions(
        &self,
        tenant: &TenantId,
        users: &[UserId],
    ) -> Result<Vec<PushView>, StoreError>;

    /// A page of the members from this standing on who were members when the message was recorded, have not
    /// read it, and have not muted its conversation. The sender may be among them.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn recipients(
        &self,
        tenant: &TenantId,
        noticed: Noticed,
        from: u64,
        limit: u32,
        now: Timestamp,
    ) -> Result<RecipientPage, StoreError>;

    /// Those of the users who are members, have neither read nor hidden the message, and have not muted its
    /// conversation.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn recipients_among(
        &self,
        tenant: &TenantId,
        message: MessageId,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<UserId>, StoreError>;
}

/// Where a projector puts what it folded.
#[async_trait]
pub trait ProjectionStore: Send + Sync + 'static {
    /// The shard's checkpoint; `None` when nothing of it was taken in yet.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn checkpoint(&self, shard: u16) -> Result<Option<Checkpoint>, StoreError>;

    /// The rows under these keys. What comes is at least as new as the last checkpoint that was read;
    /// that nothing changed since is what [`ProjectionStore::apply`] makes sure of.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn load(&self, keys: &Keys) -> Result<Rows, StoreError>;

    /// Applies a batch and moves the checkpoint, in one transaction.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing was applied then.
    async fn apply(&self, batch: &Batch) -> Result<(), ApplyError>;

    /// Forgets up to `limit` commands that were recorded before this time, and says how many.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    async fn prune_commands(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
