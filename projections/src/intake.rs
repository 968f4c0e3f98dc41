//! Taking a run of commits into a store: load the rows they need, fold, apply.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use eventstore::consumer::Checkpoint;
use eventstore::envelope::Commit;

use crate::commands::forgotten_before;
use crate::fold::{FoldError, fold, keys};
use crate::store::{ApplyError, Batch, ProjectionStore, StoreError};

/// Why commits were not taken in. Nothing of them was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    /// A commit does not follow from what was taken in before.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The store did not apply them.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> Self {
        Self::Apply(error.into())
    }
}

/// Takes in the commits that follow the checkpoint in its shard, in one transaction, and answers the new
/// checkpoint. Commands that were recorded before `commands_since` are not kept.
///
/// # Errors
/// [`IntakeError`]; nothing was taken in then.
pub async fn take_in(
    store: &dyn ProjectionStore,
    from: Checkpoint,
    commits: Vec<Commit>,
    commands_since: Timestamp,
) -> Result<Checkpoint, IntakeError> {
    let Some(last) = commits.last() else {
        return Ok(from);
    };
    let to = Checkpoint {
        sequence: last.sequence,
        commit_id: Some(last.id),
        ..from
    };
    let rows = store.load(&keys(&commits)).await?;
    let changes = match fold(rows, commits, commands_since) {
        Ok(changes) => changes,
        Err(error) => {
            return Err(superseded(store, &from)
                .await?
                .map_or(error.into(), IntakeError::Apply));
        }
    };
    store.apply(&Batch { from, to, changes }).await?;
    Ok(to)
}

/// Whether someone else has taken in more: then the rows were newer than the checkpoint, and that the
/// commits do not follow from them says nothing about the log.
async fn superseded(
    store: &dyn ProjectionStore,
    from: &Checkpoint,
) -> Result<Option<ApplyError>, StoreError> {
    let (shard, expected) = (from.shard, from.sequence);
    let start = Checkpoint::start(from.epoch, shard);
    let now = store.checkpoint(shard).await?.unwrap_or(start);
    let is_elsewhere = (now.epoch, now.sequence) != (from.epoch, expected);
    Ok(is_elsewhere.then_some(ApplyError::Superseded { shard, expected }))
}

/// Commands recorded before this time need not be kept any more.
#[must_use]
pub fn commands_since() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    forgotten_before(Timestamp::from_millis(
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
    ))
}
