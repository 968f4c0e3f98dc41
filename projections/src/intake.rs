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
    let changes = fold(rows, commits, commands_since)?;
    store.apply(&Batch { from, to, changes }).await?;
    Ok(to)
}

/// Commands recorded before this time need not be kept any more.
#[must_use]
pub fn commands_since() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    forgotten_before(Timestamp::from_millis(
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
    ))
}
