//! The projector: follows the log from the checkpoint and keeps the read model up to date.
//!
//! What is transient (the log, the keys or the database away, someone else at work) is tried again from
//! the checkpoint. What cannot be decoded or does not follow is never skipped: that shard stops and says
//! so, and what was taken in stays readable.

use std::sync::Arc;
use std::time::Duration;

use eventstore::codec::{Codec, DecodeError};
use eventstore::consumer::{Checkpoint, ResumeError, verify};
use eventstore::log::{EventLog, ReadError};
use eventstore::progress::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::feed::{Feed, FeedError};
use crate::intake::{IntakeError, commands_since, take_in};
use crate::store::{ApplyError, ProjectionStore, StoreError};

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
const PRUNE_EVERY: Duration = Duration::from_secs(10 * 60);
const PRUNE_AT_ONCE: u32 = 1_000;

/// How a shard's projector does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectorStatus {
    /// It follows the log, or has not begun yet.
    Running,
    /// Something is away; it tries again until that is back.
    Retrying {
        /// What is away.
        reason: String,
    },
    /// It has stopped for good: someone must look at it.
    Stopped {
        /// Why.
        reason: String,
    },
}

/// The status of each shard's projector. Clones share it.
#[derive(Clone, Debug)]
pub struct ProjectorStatuses {
    shards: Arc<[watch::Sender<ProjectorStatus>]>,
}

impl ProjectorStatuses {
    fn new(shards: u16) -> Self {
        Self {
            shards: (0..shards)
                .map(|_| watch::Sender::new(ProjectorStatus::Running))
                .collect(),
        }
    }

    /// The status of every shard, in their order.
    #[must_use]
    pub fn all(&self) -> Vec<ProjectorStatus> {
        self.shards.iter().map(|status| status.borrow().clone()).collect()
    }

    /// The worst status of all shards: stopped before retrying before running.
    #[must_use]
    pub fn worst(&self) -> ProjectorStatus {
        let all = self.all();
        let of = |wanted: fn(&ProjectorStatus) -> bool| all.iter().find(|status| wanted(status)).cloned();
        of(|status| matches!(status, ProjectorStatus::Stopped { .. }))
            .or_else(|| of(|status| matches!(status, ProjectorStatus::Retrying { .. })))
            .unwrap_or(ProjectorStatus::Running)
    }

    /// What was said of a shard that stopped for good stands.
    fn set_unless_stopped(&self, shard: u16, status: ProjectorStatus) {
        let stopped = |current: &ProjectorStatus| matches!(current, ProjectorStatus::Stopped { .. });
        if self
            .shards
            .get(usize::from(shard))
            .is_some_and(|current| !stopped(&current.borrow()))
        {
            self.set(shard, status);
        }
    }

    fn set(&self, shard: u16, status: ProjectorStatus) {
        if let Some(sender) = self.shards.get(usize::from(shard)) {
            sender.send_if_modified(|current| {
                let is_new = *current != status;
                *current = status;
                is_new
            });
        }
    }
}

/// Keeps a store up to date with a log.
#[derive(Clone)]
pub struct Projector {
    log: Arc<dyn EventLog>,
    codec: Codec,
    store: Arc<dyn ProjectionStore>,
    progress: Progress,
    statuses: ProjectorStatuses,
}

/// Why a shard is not followed any further for now.
enum Interruption {
    /// The checkpoint is elsewhere: another projector is at work, or a rebuilt generation took the place.
    Moved,
    Transient(String),
    Final(String),
}

impl Projector {
    /// A projector from this log to this store.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, codec: Codec, store: Arc<dyn ProjectionStore>) -> Self {
        let shards = log.shards();
        Self {
            log,
            codec,
            store,
            progress: Progress::new(shards),
            statuses: ProjectorStatuses::new(shards),
        }
    }

    /// How far it has come, for those who wait for a position.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// How it does, for those who ask whether the node is ready.
    #[must_use]
    pub fn statuses(&self) -> ProjectorStatuses {
        self.statuses.clone()
    }

    /// Verifies that the store's checkpoints are of this log, and publishes how far they are.
    ///
    /// # Errors
    /// [`VerifyError`] when they are of another log (it must be rebuilt then), or something is away.
    pub async fn verify(&self) -> Result<(), VerifyError> {
        for shard in 0..self.log.shards() {
            self.resume(shard).await?;
        }
        Ok(())
    }

    /// Follows every shard until it is cancelled. What is being applied at that moment is finished.
    pub async fn run(&self, cancel: CancellationToken) {
        let shards = (0..self.log.shards()).map(|shard| self.run_shard(shard, &cancel));
        tokio::join!(futures::future::join_all(shards), self.prune(&cancel));
    }

    /// Follows one shard until it is cancelled, or until it must stop for good. What is being applied at
    /// that moment is finished.
    pub async fn run_shard(&self, shard: u16, cancel: &CancellationToken) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            match self.follow(shard, cancel, &mut backoff).await {
                Ok(()) => return,
                Err(Interruption::Moved) => {
                    tracing::info!(
                        log.shard = shard,
                        "the projector goes on from a checkpoint that moved"
                    );
                }
                Err(Interruption::Final(reason)) => {
                    tracing::error!(log.shard = shard, reason, "the projector has stopped");
                    self.statuses.set(shard, ProjectorStatus::Stopped { reason });
                    return;
                }
                Err(Interruption::Transient(reason)) => {
                    tracing::warn!(log.shard = shard, reason, "the projector tries again");
                    self.statuses.set(shard, ProjectorStatus::Retrying { reason });
                }
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(LONGEST_BACKOFF),
            }
        }
    }

    /// Follows a shard from its checkpoint; returns when cancelled.
    async fn follow(
        &self,
        shard: u16,
        cancel: &CancellationToken,
        backoff: &mut Duration,
    ) -> Result<(), Interruption> {
        let resumed = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            resumed = self.resume(shard) => resumed,
        };
        let mut checkpoint = resumed?;
        let mut feed = Feed::start(Arc::clone(&self.log), self.codec.clone(), checkpoint);
        self.statuses.set(shard, ProjectorStatus::Running);
        loop {
            let commits = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                commits = feed.next() => commits?,
            };
            checkpoint = take_in(&*self.store, checkpoint, commits, commands_since()).await?;
            self.progress.set(shard, checkpoint.sequence);
            *backoff = FIRST_BACKOFF;
        }
    }

    async fn resume(&self, shard: u16) -> Result<Checkpoint, VerifyError> {
        let checkpoint = self.store.checkpoint(shard).await?;
        let checkpoint = checkpoint.unwrap_or_else(|| Checkpoint::start(self.log.epoch(), shard));
        verify(&*self.log, &checkpoint).await?;
        self.progress.set(shard, checkpoint.sequence);
        Ok(checkpoint)
    }

    /// Looks how far others have taken in a shard that this projector does not follow now.
    pub async fn look(&self, shard: u16) {
        match self.store.checkpoint(shard).await {
            Ok(checkpoint) => {
                let sequence = checkpoint.map_or(0, |checkpoint| checkpoint.sequence);
                self.progress.raise(shard, sequence);
                self.statuses.set_unless_stopped(shard, ProjectorStatus::Running);
            }
            Err(error) => {
                let reason = error.to_string();
                self.statuses
                    .set_unless_stopped(shard, ProjectorStatus::Retrying { reason });
            }
        }
    }

    /// Forgets old commands from time to time, a few at once so that nobody waits for it long. Any number
    /// of nodes may do so.
    pub async fn prune(&self, cancel: &CancellationToken) {
        let mut ticks = tokio::time::interval(PRUNE_EVERY);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            loop {
                match self.store.prune_commands(commands_since(), PRUNE_AT_ONCE).await {
                    Ok(pruned) if pruned >= u64::from(PRUNE_AT_ONCE) && !cancel.is_cancelled() => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "old commands could not be pruned");
                        break;
                    }
                }
            }
        }
    }
}

/// Why a store's checkpoints were not verified.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log does not have what the store has taken in, or cannot be read.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The store is away or damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<VerifyError> for Interruption {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => error.into(),
            VerifyError::Resume(ResumeError::Read(error)) => error.into(),
            VerifyError::Resume(error) => Self::Final(error.to_string()),
        }
    }
}

impl From<StoreError> for Interruption {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => Self::Transient(error.to_string()),
            StoreError::Damaged(_) => Self::Final(error.to_string()),
        }
    }
}

impl From<ReadError> for Interruption {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Unavailable(_) => Self::Transient(error.to_string()),
            ReadError::Damaged { .. } => Self::Final(error.to_string()),
        }
    }
}

impl From<FeedError> for Interruption {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Read(error) => error.into(),
            FeedError::Decode(DecodeError::Keys(error)) => Self::Transient(error.to_string()),
            FeedError::Decode(DecodeError::Parts(error)) => error.into(),
            FeedError::Decode(error) => Self::Final(error.to_string()),
        }
    }
}

impl From<IntakeError> for Interruption {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Fold(error) => Self::Final(error.to_string()),
            IntakeError::Apply(ApplyError::Store(error)) => error.into(),
            IntakeError::Apply(ApplyError::Superseded { .. }) => Self::Moved,
        }
    }
}
