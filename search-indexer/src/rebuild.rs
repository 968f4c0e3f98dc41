//! A new index beside the live one, from the start of the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventstore::{Codec, DecodeError, EventLog, Progress, ReadError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::index::{OpenError, Origin, SearchIndex, finish_rebuild, next_dir};
use crate::writer::{WriteError, Writer};

/// Records that are read and decoded in one go.
const PAGE: usize = 64;

/// Why an index was not rebuilt. The one that was there stays.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The folder cannot be read or written.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log holds a record that cannot be decoded, or the keys are away.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The new index cannot be written.
    #[error("the new search index cannot be written: {0}")]
    Index(String),
    /// The token was cancelled.
    #[error("the rebuild was cancelled")]
    Cancelled,
}

impl From<WriteError> for RebuildError {
    fn from(error: WriteError) -> Self {
        Self::Index(error.to_string())
    }
}

/// A rebuilt index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many messages are in it.
    pub messages: u64,
}

/// Builds a new index in `<dir>.next` from the start of the log to its end, and puts it in the place of
/// the one in `dir`. Nothing may have that one open meanwhile: this is for a server that does not run.
/// `progress` is set after each page for those who show it, before anything can be searched.
///
/// A crash leaves the old index or the new one: an unfinished `<dir>.next` is deleted by the next
/// opening, a finished one is put in place by it.
///
/// # Errors
/// [`RebuildError`]; the index in `dir` is then as it was.
pub async fn rebuild(
    dir: &Path,
    log: Arc<dyn EventLog>,
    codec: Codec,
    progress: Progress,
    cancel: CancellationToken,
) -> Result<Rebuilt, RebuildError> {
    let rebuild = Rebuild {
        dir: dir.to_owned(),
        log,
        codec,
        progress,
        cancel,
    };
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(rebuild.run()))
        .await
        .unwrap_or_else(|error| Err(RebuildError::Index(error.to_string())))
}

struct Rebuild {
    dir: PathBuf,
    log: Arc<dyn EventLog>,
    codec: Codec,
    progress: Progress,
    cancel: CancellationToken,
}

impl Rebuild {
    async fn run(&self) -> Result<Rebuilt, RebuildError> {
        let next = next_dir(&self.dir);
        let failed = |source| OpenError::Io {
            path: next.display().to_string(),
            source,
        };
        if std::fs::exists(&next).map_err(failed)? {
            std::fs::remove_dir_all(&next).map_err(failed)?;
        }
        let index = SearchIndex::create(&next, Origin::Created)?;
        let mut writer = Writer::open(&index, self.log.epoch())?;
        for shard in 0..self.log.shards() {
            self.take_in(&mut writer, shard).await?;
        }
        writer.complete(&self.progress)?;
        let messages = index.messages();
        drop(index);
        finish_rebuild(&self.dir).map_err(failed)?;
        tracing::info!(search.messages = messages, "the search index was rebuilt");
        Ok(Rebuilt { messages })
    }

    async fn take_in(&self, writer: &mut Writer, shard: u16) -> Result<(), RebuildError> {
        let mut after = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(RebuildError::Cancelled);
            }
            let records = self.log.read(shard, after, PAGE).await?;
            let Some(last) = records.last() else { return Ok(()) };
            after = last.sequence;
            for commit in self.codec.decode(&records).await? {
                writer.take(&commit)?;
            }
            self.progress.set(shard, after);
        }
    }
}
