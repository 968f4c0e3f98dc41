//! A new index beside the live one, from the start of the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventstore::{Codec, Commit, DecodeError, EventLog, Progress, ReadError};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::index::{OpenError, Origin, SearchIndex, finish_rebuild, next_dir};
use crate::writer::{WriteError, Writer};

/// Records that are read and decoded in one go.
const PAGE: usize = 64;
/// Pages that may wait for the writer.
const PAGES_AHEAD: usize = 4;

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
        self.take_in(&mut writer).await?;
        writer.complete(&self.progress)?;
        let messages = index.messages();
        drop(index);
        finish_rebuild(&self.dir).map_err(failed)?;
        tracing::info!(search.messages = messages, "the search index was rebuilt");
        Ok(Rebuilt { messages })
    }

    /// Adds all of the log, while what comes next is read and decoded.
    async fn take_in(&self, writer: &mut Writer) -> Result<(), RebuildError> {
        let (sender, mut pages) = mpsc::channel(PAGES_AHEAD);
        let reading = read(Arc::clone(&self.log), self.codec.clone(), sender);
        let reading = AbortOnDropHandle::new(tokio::spawn(reading));
        while let Some(commits) = pages.recv().await {
            if self.cancel.is_cancelled() {
                return Err(RebuildError::Cancelled);
            }
            for commit in &commits {
                writer.take(commit)?;
                self.progress.set(commit.shard, commit.sequence);
            }
        }
        // Only now it is known whether that was all.
        let read = reading.await;
        read.unwrap_or_else(|error| Err(RebuildError::Index(error.to_string())))
    }
}

/// Hands over the commits of the log, from the first of each shard to its end.
async fn read(
    log: Arc<dyn EventLog>,
    codec: Codec,
    pages: mpsc::Sender<Vec<Commit>>,
) -> Result<(), RebuildError> {
    for shard in 0..log.shards() {
        let mut after = 0;
        loop {
            let records = log.read(shard, after, PAGE).await?;
            let Some(last) = records.last() else { break };
            after = last.sequence;
            if pages.send(codec.decode(&records).await?).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
