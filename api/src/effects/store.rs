//! The port of what goes out: how far the log was looked at, what is still to be delivered, what could not be.
//!
//! It holds ids and positions, and nothing that people wrote. No rebuild of read models touches it. Both stores
//! pass the suite in `contract`.

use async_trait::async_trait;
use domain::{EventId, MessageId, PushId, TenantId, Timestamp, UserId};
use eventstore::Checkpoint;

#[macro_use]
mod statements;

mod postgres;
mod rows;
mod sqlite;

#[cfg(test)]
mod contract;

pub use postgres::PostgresEffects;
pub use sqlite::SqliteEffects;

/// The database is away or damaged: the same may succeed later.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store of notifications is unavailable: {0}")]
pub struct StoreUnavailable(pub String);

/// Why commits were not taken in. Nothing of them was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TakeInError {
    /// The checkpoint is not where they begin: someone else took them in.
    #[error("the checkpoint of shard {0} has moved on")]
    Superseded(u16),
    /// The store failed.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
}

/// A message whose recipients are still to be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The event that it was sent by.
    pub event: EventId,
    /// The shard of the log that it lies in.
    pub shard: u16,
    /// The tenant.
    pub tenant: TenantId,
    /// The message.
    pub message: MessageId,
    /// Who sent it.
    pub sender: UserId,
    /// The sequence of its commit.
    pub sequence: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The standing of the member from whom on recipients are still to be chosen.
    pub standing: u64,
}

/// Who is told, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The webhook is told of these users.
    Webhook(Vec<UserId>),
    /// A device of a user.
    Push(UserId, PushId),
}

/// The ways of telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A webhook.
    Webhook,
    /// Web Push.
    Push,
}

impl Way {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Push => "push",
        }
    }
}

impl Target {
    /// How it is told.
    #[must_use]
    pub const fn way(&self) -> Way {
        match self {
            Self::Webhook(_) => Way::Webhook,
            Self::Push(..) => Way::Push,
        }
    }
}

/// Something to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event's id and the target's: the same however often it is tried.
    pub id: String,
    /// The shard of the message.
    pub shard: u16,
    /// The tenant.
    pub tenant: TenantId,
    /// The message.
    pub message: MessageId,
    /// When the message was recorded.
    pub recorded_at: Timestamp,
    /// Who is told.
    pub target: Target,
    /// How often it was tried, with the attempt that it was claimed for.
    pub attempts: u32,
    /// Whether it is tried because someone asked for it again.
    pub is_replayed: bool,
}

/// What was chosen for one page of a message's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The message, as it was.
    pub notice: Notice,
    /// The standing from which it goes on; `None` when all were chosen.
    pub next: Option<u64>,
    /// What is to be delivered.
    pub deliveries: Vec<Delivery>,
}

/// What is not tried any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What it was.
    pub delivery: Delivery,
    /// Since when.
    pub died_at: Timestamp,
    /// What went wrong the last time.
    pub reason: String,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Deliveries that wait.
    pub waiting: u64,
    /// When the oldest message among them was recorded.
    pub oldest: Option<Timestamp>,
    /// Dead letters.
    pub dead: u64,
}

/// Which dead letters are meant.
#[derive(Clone, Debug)]
pub enum Which {
    /// All of them.
    All,
    /// Those with these ids.
    These(Vec<String>),
}

/// Keeps what is to be delivered until it was. Everything fails when the database is away or damaged, and has changed
/// nothing then.
#[async_trait]
pub trait EffectStore: Send + Sync + 'static {
    /// The shard's checkpoint; `None` when it was never looked at.
    async fn checkpoint(&self, shard: u16) -> Result<Option<Checkpoint>, StoreUnavailable>;

    /// Begins with a shard at this checkpoint. One that has begun stays where it is.
    async fn begin(&self, at: &Checkpoint) -> Result<(), StoreUnavailable>;

    /// Begins anew with a shard at this checkpoint, and forgets everything of it: it is of another log.
    async fn begin_anew(&self, at: &Checkpoint) -> Result<(), StoreUnavailable>;

    /// Moves the checkpoint and keeps the notices, in one transaction.
    async fn take_in(
        &self,
        from: &Checkpoint,
        to: &Checkpoint,
        notices: &[Notice],
    ) -> Result<(), TakeInError>;

    /// The oldest notices of a shard.
    async fn notices(&self, shard: u16, limit: u32) -> Result<Vec<Notice>, StoreUnavailable>;

    /// Keeps what was chosen and moves the notices on, in one transaction. A notice that someone else has moved
    /// on is passed over.
    async fn plan(&self, planned: &[Planned]) -> Result<(), StoreUnavailable>;

    /// Takes up to `limit` deliveries that are due. They are due again at `until`, if nothing is heard of them.
    async fn claim(
        &self,
        way: Way,
        node: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreUnavailable>;

    /// Makes what this node had claimed due: it has ended in between.
    async fn release(&self, node: &str, now: Timestamp) -> Result<(), StoreUnavailable>;

    /// It was delivered, or has become needless.
    async fn done(&self, delivery: &Delivery) -> Result<(), StoreUnavailable>;

    /// It is to be tried again at this time. What someone else has claimed meanwhile stays theirs.
    async fn retry(&self, delivery: &Delivery, at: Timestamp, reason: &str) -> Result<(), StoreUnavailable>;

    /// It is not tried any more. What someone else has claimed meanwhile stays theirs.
    async fn bury(&self, delivery: &Delivery, now: Timestamp, reason: &str) -> Result<(), StoreUnavailable>;

    /// When the next delivery is due.
    async fn next_due(&self, way: Way) -> Result<Option<Timestamp>, StoreUnavailable>;

    /// A page of the dead letters after this one, the oldest first.
    async fn dead(&self, after: Option<&DeadLetter>, limit: u32)
    -> Result<Vec<DeadLetter>, StoreUnavailable>;

    /// Makes dead letters due, as if they had never been tried, and says how many they are.
    async fn replay(&self, which: &Which, now: Timestamp) -> Result<u64, StoreUnavailable>;

    /// Forgets the dead letters that died before this time, and says how many they were.
    async fn prune(&self, before: Timestamp) -> Result<u64, StoreUnavailable>;

    /// How much there is.
    async fn figures(&self) -> Result<Figures, StoreUnavailable>;

    /// Closes it: what is asked afterwards is answered as unavailable.
    async fn close(&self);
}
