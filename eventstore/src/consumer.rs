//! Consuming the log from a checkpoint: where a consumer stands, and whether this is still the log it
//! stood in.

use domain::CommitId;
use serde::{Deserialize, Serialize};

use crate::codec::commit_id;
use crate::log::{Epoch, EventLog, ReadError};

/// How far a consumer has taken in one shard. Beside the position it holds the commit id found there,
/// so that a log which was recreated or restored is never resumed with a position of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The incarnation of the log.
    pub epoch: Epoch,
    /// The shard.
    pub shard: u16,
    /// The sequence of the newest record that was taken in; 0 when none was.
    pub sequence: u64,
    /// That record's commit; `None` when none was taken in.
    pub commit_id: Option<CommitId>,
}

impl Checkpoint {
    /// Nothing of this shard was taken in yet.
    #[must_use]
    pub const fn start(epoch: Epoch, shard: u16) -> Self {
        Self {
            epoch,
            shard,
            sequence: 0,
            commit_id: None,
        }
    }
}

/// Why a checkpoint cannot be resumed in a log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ResumeError {
    /// The checkpoint is of another incarnation of the log.
    #[error(
        "the checkpoint at sequence {sequence} of shard {shard} is of log {checkpoint}, and this is log {log}"
    )]
    ForeignEpoch {
        /// The shard.
        shard: u16,
        /// The checkpoint's sequence.
        sequence: u64,
        /// The checkpoint's log.
        checkpoint: Epoch,
        /// This log.
        log: Epoch,
    },
    /// The log does not have the commit that the checkpoint saw: it is older, or was restored from a
    /// backup and has gone another way since.
    #[error("the log has another commit than the checkpoint at sequence {sequence} of shard {shard}")]
    ForeignCommit {
        /// The shard.
        shard: u16,
        /// The checkpoint's sequence.
        sequence: u64,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Verifies that the log still has what the checkpoint saw.
///
/// # Errors
/// [`ResumeError`] when it has not, or cannot be read.
pub async fn verify(log: &dyn EventLog, checkpoint: &Checkpoint) -> Result<(), ResumeError> {
    let (shard, sequence) = (checkpoint.shard, checkpoint.sequence);
    if checkpoint.epoch != log.epoch() {
        return Err(ResumeError::ForeignEpoch {
            shard,
            sequence,
            checkpoint: checkpoint.epoch,
            log: log.epoch(),
        });
    }
    if sequence == 0 && checkpoint.commit_id.is_none() {
        return Ok(());
    }
    let page = log.read(shard, sequence.saturating_sub(1), 1).await?;
    let there = page.first().filter(|record| record.sequence == sequence);
    match there.and_then(|record| commit_id(&record.payload)) {
        Some(found) if Some(found) == checkpoint.commit_id => Ok(()),
        _ => Err(ResumeError::ForeignCommit { shard, sequence }),
    }
}
