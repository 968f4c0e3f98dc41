//! The log on JetStream: a JetStream stream per shard, a message per commit.
//!
//! In this module `Stream` is a stream of ours, one aggregate's; a shard's JetStream stream is called
//! the shard.
//!
//! # What holds, and what it rests on
//!
//! - **Durable**: an acknowledged record is on disk if the servers run with `sync_interval: always`. No
//!   client can see that setting, so the documentation of the deployment has to.
//! - **Conflicts** are decided by the shard's leader and once more when the replicas apply the append, so
//!   a stale leader cannot let one through.
//! - **Heads** are asked of the shard's leader. A leader that was cut off from its replicas does not know
//!   it for some ten seconds and can answer stale heads to the clients that still reach it; it cannot
//!   append. Servers offer no stricter read.
//! - **Pages** come from any replica, and a replica may be behind. Each applies the same records in the
//!   same order, so what it has is a beginning of what the leader has: a page is right as far as it
//!   goes, and only that there is NO more is asked of the leader. A page is checked for records that
//!   were lost on the way and cut before the first hole. Hence reading until an empty page is complete
//!   up to a head that was learned before.
//! - **It is one log**: see `continuity`. A log that goes back under nodes that run is noticed when they
//!   connect again, and they stop.
//! - **A shard has no holes**: nothing expires, nothing can be deleted or purged, so its sequences are
//!   contiguous. One that is missing at the leader is damage, and reading or following stops there.

mod append;
mod connection;
mod continuity;
mod digest;
mod follow;
pub mod lease;
mod live;
mod open;
mod read;
pub mod roll_call;
pub mod servers;
mod shape;
pub mod signals;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_nats::Client;
use async_nats::jetstream::{self, stream};
use async_trait::async_trait;
use futures::stream::BoxStream;

pub use connection::connect_options;
use continuity::{Break, Continuity};
pub use open::OpenError;

use crate::log::{Append, AppendError, Appended, Epoch, EventLog, ReadError, Record};
use crate::subject::Stream;

/// How many shards a log gets when nothing else is said: with an fsync per record this machine's class
/// took 9,100 appends/s with 4, 5,100 with 1 and 11,600 with 16.
pub const DEFAULT_SHARDS: u16 = 4;

/// Where a log is and what it is made like.
#[derive(Clone, Debug)]
pub struct JetStreamConfig {
    /// The connection. Its credentials and TLS are its own matter.
    pub client: Client,
    /// What the log's subjects and JetStream streams begin with: a [`Namespace`](crate::Namespace).
    pub namespace: String,
    /// Into how many shards the log is made; it never changes after.
    pub shards: u16,
    /// How many servers keep a copy of each record.
    pub replicas: usize,
}

impl JetStreamConfig {
    /// A log with the usual number of shards and a single copy.
    #[must_use]
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            shards: DEFAULT_SHARDS,
            replicas: 1,
        }
    }
}

/// The log on JetStream. Clones share the connection.
#[derive(Clone, Debug)]
pub struct JetStreamLog {
    inner: Arc<Inner>,
}

/// What reads, appends and followers share.
#[derive(Debug)]
struct Inner {
    client: Client,
    context: jetstream::Context,
    namespace: String,
    epoch: Epoch,
    /// At index n, shard n.
    shards: Vec<Shard>,
    broken: Break,
}

/// One shard: its JetStream stream.
#[derive(Debug)]
struct Shard {
    number: u16,
    name: String,
    handle: stream::Stream<()>,
    continuity: Continuity,
}

impl JetStreamLog {
    /// Opens the log, and makes it first when it does not exist. Any number of nodes may do so at once.
    ///
    /// # Errors
    /// [`OpenError`] when the server is too old or away, or when what exists is not this log.
    pub async fn open(config: JetStreamConfig) -> Result<Self, OpenError> {
        Ok(Self {
            inner: Arc::new(open::open(config).await?),
        })
    }
}

impl JetStreamLog {
    /// Gives the log a new epoch: every position and checkpoint of the old one means nothing any more. For
    /// a log that was restored from a backup. No node may have it open. When it is interrupted, the log
    /// cannot be opened until it was repeated.
    ///
    /// # Errors
    /// [`OpenError`] when there is no such log, or the server is away.
    pub async fn renew_epoch(config: JetStreamConfig) -> Result<Epoch, OpenError> {
        open::renew_epoch(config).await
    }
}

impl Inner {
    /// The shard that owns a stream.
    fn owner(&self, stream: &Stream) -> &Shard {
        &self.shards[usize::from(stream.partition()) % self.shards.len()]
    }

    /// The shard with this number.
    fn shard(&self, number: u16) -> Result<&Shard, ReadError> {
        let missing = || ReadError::Unavailable(format!("the log has no shard {number}"));
        self.shards.get(usize::from(number)).ok_or_else(missing)
    }

    /// A stream's subject on the server.
    fn subject(&self, stream: &Stream) -> String {
        self.named(&stream.subject())
    }

    /// A subject of `subject.rs` on the server.
    fn named(&self, subject: &str) -> String {
        format!("{}.{subject}", self.namespace)
    }

    /// A subject of the server as `subject.rs` spells it, when it is of this namespace.
    fn unnamed<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.namespace)?.strip_prefix('.')
    }
}

#[async_trait]
impl EventLog for JetStreamLog {
    fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    fn shards(&self) -> u16 {
        self.inner
            .shards
            .iter()
            .map(|shard| shard.number + 1)
            .max()
            .unwrap_or(0)
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.append(append).await
    }

    async fn head(&self, stream: &Stream) -> Result<u64, ReadError> {
        self.inner.head(stream).await
    }

    async fn read_stream(&self, stream: &Stream, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.inner
            .page(self.inner.owner(stream), Some(stream), after, limit)
            .await
    }

    async fn read(&self, shard: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.inner
            .page(self.inner.shard(shard)?, None, after, limit)
            .await
    }

    async fn end(&self, shard: u16) -> Result<u64, ReadError> {
        let shard = self.inner.shard(shard)?;
        self.inner.continuous(shard).await?;
        Ok(self.inner.info(shard).await?.state.last_sequence)
    }

    fn follow(&self, shard: u16, after: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        follow::follow(Arc::clone(&self.inner), shard, after, follow::Wanted::Whole)
    }
}
