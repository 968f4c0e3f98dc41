//! Writes the index: changes are buffered, commits make them durable and visible together with how far
//! in the log they reach.
//!
//! Everything here blocks, for memory to be flushed and files to be synchronised.

use eventstore::{Checkpoint, Commit, Epoch, Progress};
use tantivy::directory::error::LockError;
use tantivy::indexer::IndexWriterOptions;
use tantivy::{IndexWriter, TantivyError};

use crate::document::{OutOfRank, changes};
use crate::index::{Payload, SearchIndex};
use crate::schema;

/// What is buffered before it is flushed to a segment. Most of a second's messages fit, and so does the
/// dictionary of a segment.
const MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// Why the index could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Someone else writes it.
    #[error("the index is being written by another")]
    Busy,
    /// A commit cannot be ranked.
    #[error(transparent)]
    OutOfRank(#[from] OutOfRank),
    /// Files or threads failed: what was not committed is lost, and will be read from the log again.
    #[error("{0}")]
    Index(TantivyError),
}

impl From<TantivyError> for WriteError {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::LockFailure(LockError::LockBusy, _) => Self::Busy,
            error => Self::Index(error),
        }
    }
}

/// The one writer of an index.
pub(crate) struct Writer {
    index: SearchIndex,
    epoch: Epoch,
    tantivy: IndexWriter,
    checkpoints: Vec<Checkpoint>,
    changed: bool,
    moved: bool,
}

impl Writer {
    /// Begins to write after the newest commit on disk, out of the log of this epoch.
    ///
    /// # Errors
    /// [`WriteError::Busy`] while another writer lives, [`WriteError::Index`] when files or threads fail.
    pub(crate) fn open(index: &SearchIndex, epoch: Epoch) -> Result<Self, WriteError> {
        // One thread tokenises while the caller decodes; a second one would only cut segments smaller.
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(MEMORY_BYTES)
            .build();
        let tantivy = index.inner().writer_with_options(options)?;
        // Not what searches see: a commit that failed half-way may have reached the disk and not them.
        let checkpoints = index.committed()?;
        if checkpoints != index.snapshot().checkpoints {
            index.publish(checkpoints.clone())?;
        }
        Ok(Self {
            index: index.clone(),
            epoch,
            tantivy,
            checkpoints,
            changed: false,
            moved: false,
        })
    }

    /// How far each shard was taken in, those not begun left out.
    pub(crate) fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// Takes in a commit of the log.
    ///
    /// # Errors
    /// [`WriteError`]; the commit may then have been taken in partly, and must not be followed by a
    /// [`Writer::commit`].
    pub(crate) fn take(&mut self, commit: &Commit) -> Result<(), WriteError> {
        let fields = *self.index.fields();
        // A message is sent once, so of what is not taken in again only changed messages can be in the index
        // already. Asking every segment for every new message would take a quarter of the time.
        let again = self
            .checkpoints
            .iter()
            .any(|c| c.shard == commit.shard && c.sequence >= commit.sequence);
        for change in changes(&fields, commit)? {
            if again || !change.is_first {
                self.tantivy.delete_term(change.term(&fields));
            }
            if let Some(document) = change.document {
                self.tantivy.add_document(document)?;
            }
            self.changed = true;
        }
        let now = Checkpoint {
            epoch: self.epoch,
            shard: commit.shard,
            sequence: commit.sequence,
            commit_id: Some(commit.id),
        };
        match self.checkpoints.iter_mut().find(|known| known.shard == now.shard) {
            // Taken in again: what the index holds reaches further already.
            Some(_) if again => {}
            Some(known) => *known = now,
            None => self.checkpoints.push(now),
        }
        self.moved = true;
        Ok(())
    }

    /// Whether something was taken in that searches do not see yet.
    pub(crate) const fn has_changes(&self) -> bool {
        self.changed
    }

    /// Whether something was taken in that a crash would have to read again.
    pub(crate) const fn has_moved(&self) -> bool {
        self.moved
    }

    /// Makes everything that was taken in durable and visible, and says so in `progress`.
    ///
    /// # Errors
    /// [`WriteError::Index`] when files or threads fail; the writer is then of no further use.
    pub(crate) fn commit(&mut self, progress: &Progress) -> Result<(), WriteError> {
        self.commit_as(false, progress)
    }

    /// The last commit of a rebuild: the index may take the live one's place.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub(crate) fn complete(mut self, progress: &Progress) -> Result<(), WriteError> {
        self.commit_as(true, progress)?;
        Ok(self.tantivy.wait_merging_threads()?)
    }

    fn commit_as(&mut self, complete: bool, progress: &Progress) -> Result<(), WriteError> {
        let payload = Payload {
            version: schema::VERSION,
            complete,
            checkpoints: self.checkpoints.clone(),
        };
        let payload =
            serde_json::to_string(&payload).map_err(|e| TantivyError::InternalError(e.to_string()))?;
        let mut prepared = self.tantivy.prepare_commit()?;
        prepared.set_payload(&payload);
        prepared.commit()?;
        self.index.publish(self.checkpoints.clone())?;
        self.changed = false;
        self.moved = false;
        self.report(progress);
        Ok(())
    }

    /// Says how far the index is when nothing that was taken in changed it: no commit is needed for that.
    pub(crate) fn advance(&self, progress: &Progress) {
        if !self.changed {
            self.index.advance(self.checkpoints.clone());
            self.report(progress);
        }
    }

    fn report(&self, progress: &Progress) {
        for checkpoint in &self.checkpoints {
            progress.set(checkpoint.shard, checkpoint.sequence);
        }
    }
}

#[cfg(test)]
mod tests;
