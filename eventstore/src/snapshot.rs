//! Snapshots: a stream's folded state at some head, so that a long conversation opens as fast as a
//! short one. A snapshot is a hint: when it is missing, of another shape or of another log, the state is
//! folded from the log alone.

use async_trait::async_trait;
use domain::{CommitId, Timestamp};

use crate::log::Epoch;
use crate::subject::Stream;

/// A folded state as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of the state's shape.
    pub schema: String,
    /// The incarnation of the log it was folded from.
    pub epoch: Epoch,
    /// The sequence of the newest commit in it.
    pub head: u64,
    /// That commit's id: a log that has another commit there is another log.
    pub commit_id: CommitId,
    /// The version of the newest event in it.
    pub version: u64,
    /// When that event was recorded.
    pub time: Timestamp,
    /// The state, as JSON.
    pub state: String,
}

/// Snapshots are away.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the snapshots are unavailable: {0}")]
pub struct SnapshotsUnavailable(pub String);

/// Keeps the newest snapshot of each stream.
#[async_trait]
pub trait SnapshotStore: Send + Sync + 'static {
    /// The newest snapshot of the stream.
    ///
    /// # Errors
    /// [`SnapshotsUnavailable`] when the database is away.
    async fn load(&self, stream: &Stream) -> Result<Option<Snapshot>, SnapshotsUnavailable>;

    /// Keeps the snapshot, unless a newer one of the same log is there.
    ///
    /// # Errors
    /// [`SnapshotsUnavailable`] when the database is away.
    async fn save(&self, stream: &Stream, snapshot: &Snapshot) -> Result<(), SnapshotsUnavailable>;
}
