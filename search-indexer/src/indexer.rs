//! Follows the log and keeps the index up to date.
//!
//! A projector like any other: it resumes from its checkpoint once that was verified, never skips what it
//! cannot decode, and waits for what is away. It lives on a thread of its own, because writing an index
//! blocks; what is asynchronous (the log, the keys, its clock) is awaited there.

use std::sync::Arc;
use std::time::Duration;

use eventstore::{Codec, EventLog, Progress, ResumeError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::index::SearchIndex;
use crate::writer::{WriteError, Writer};

mod follow;

use follow::{Follower, verify};

/// How long it waits before it tries again, at first and at most.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

const SHUT_DOWN: &str = "it was shut down";
const FAILED: &str = "it failed";

/// Why an indexer could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The index was filled from another log than this one, or this one was restored from a backup: it
    /// must be rebuilt.
    #[error("the search index is not one of this log")]
    Foreign(#[source] ResumeError),
    /// Another indexer writes this index.
    #[error("the search index is being written already")]
    Busy,
    /// The index cannot be written.
    #[error("the search index cannot be written: {0}")]
    Index(String),
}

impl From<WriteError> for StartError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Busy => Self::Busy,
            error => Self::Index(error.to_string()),
        }
    }
}

/// How an indexer is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It follows the log.
    Running,
    /// Something it needs is away, and it tries again.
    Retrying {
        /// What is away; nothing that people wrote.
        reason: String,
    },
    /// It has ended, and the index stays as it is.
    Stopped {
        /// Why; nothing that people wrote.
        reason: String,
    },
}

/// The indexer has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the search indexer has stopped: {reason}")]
pub struct IndexerStopped {
    /// Why; nothing that people wrote.
    pub reason: String,
}

/// A running indexer. When the last handle is dropped it ends, with a final commit.
#[derive(Clone)]
pub struct Indexer {
    progress: Progress,
    status: watch::Receiver<Status>,
    commits: mpsc::Sender<oneshot::Sender<()>>,
    _cancels: Arc<DropGuard>,
}

impl Indexer {
    /// Starts to follow the log from where the index is. It ends, with a final commit, when the token is
    /// cancelled or the last handle dropped.
    ///
    /// # Errors
    /// [`StartError`] when the index is not one of this log, or cannot be written. That the log is away
    /// is no error: the indexer waits for it.
    pub async fn start(
        index: SearchIndex,
        log: Arc<dyn EventLog>,
        codec: Codec,
        cancel: CancellationToken,
    ) -> Result<Self, StartError> {
        let checkpoints = index.snapshot().checkpoints.clone();
        match verify(log.as_ref(), &checkpoints).await {
            Ok(()) | Err(ResumeError::Read(_)) => {}
            Err(foreign) => return Err(StartError::Foreign(foreign)),
        }
        let (opening, epoch) = (index.clone(), log.epoch());
        let writer = tokio::task::spawn_blocking(move || Writer::open(&opening, epoch))
            .await
            .map_err(|error| StartError::Index(error.to_string()))??;
        let progress = Progress::new(log.shards());
        for checkpoint in &checkpoints {
            progress.set(checkpoint.shard, checkpoint.sequence);
        }
        let cancel = cancel.child_token();
        let (status, watched) = watch::channel(Status::Running);
        let (commits, asked) = mpsc::channel(16);
        let runner = Runner {
            follower: Follower::new(log, codec, progress.clone(), cancel.clone(), asked),
            index,
            status,
        };
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(runner.run(writer)));
        Ok(Self {
            progress,
            status: watched,
            commits,
            _cancels: Arc::new(cancel.drop_guard()),
        })
    }

    /// How far the index is, in the sense that searches see it.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        // Without the other side its thread ended without a word.
        let gone = self.status.has_changed().is_err();
        match &*self.status.borrow() {
            Status::Running | Status::Retrying { .. } if gone => Status::Stopped {
                reason: FAILED.to_owned(),
            },
            status => status.clone(),
        }
    }

    /// Commits what was taken in so far, without waiting for the second to pass.
    ///
    /// # Errors
    /// [`IndexerStopped`] when it has ended.
    pub async fn commit_now(&self) -> Result<(), IndexerStopped> {
        loop {
            let (done, committed) = oneshot::channel();
            if self.commits.send(done).await.is_err() {
                return Err(self.stopped().await);
            }
            // Without an answer the commit failed: it asks again, and is heard once the index is back.
            if committed.await.is_ok() {
                return Ok(());
            }
        }
    }

    /// Waits until it has ended: after its token was cancelled, or because it cannot go on.
    pub async fn stopped(&self) -> IndexerStopped {
        let mut status = self.status.clone();
        let ended = status
            .wait_for(|status| matches!(status, Status::Stopped { .. }))
            .await;
        let reason = match ended.as_deref() {
            Ok(Status::Stopped { reason }) => reason.clone(),
            _ => FAILED.to_owned(),
        };
        IndexerStopped { reason }
    }
}

/// Follows until it is told to end or cannot go on, over and over where what it needs comes back.
struct Runner {
    follower: Follower,
    index: SearchIndex,
    status: watch::Sender<Status>,
}

impl Runner {
    async fn run(mut self, writer: Writer) {
        let reason = self.run_until_it_ends(writer).await;
        self.status.send_replace(Status::Stopped { reason });
    }

    async fn run_until_it_ends(&mut self, writer: Writer) -> String {
        let mut writer = Some(writer);
        let mut backoff = FIRST_BACKOFF;
        loop {
            let before = self.follower.taken();
            let followed = match writer.take() {
                Some(writer) => self.follower.follow(writer, &self.status).await,
                None => match Writer::open(&self.index, self.follower.log.epoch()) {
                    Ok(writer) => self.follower.follow(writer, &self.status).await,
                    Err(error) => Err(error.into()),
                },
            };
            let Err(failure) = followed else {
                return SHUT_DOWN.to_owned();
            };
            let reason = failure.to_string();
            if failure.is_final() {
                tracing::error!(reason, "the search indexer has stopped");
                return reason;
            }
            if self.follower.taken() != before {
                backoff = FIRST_BACKOFF;
            }
            let retrying = Status::Retrying {
                reason: reason.clone(),
            };
            if self.status.send_replace(retrying) == Status::Running {
                tracing::warn!(reason, "the search indexer tries again");
            }
            tokio::select! {
                () = self.follower.cancel.cancelled() => return SHUT_DOWN.to_owned(),
                () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(MAX_BACKOFF),
            }
        }
    }
}
