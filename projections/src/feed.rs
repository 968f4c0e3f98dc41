//! The log of a shard, decoded ahead of the one who takes it in.
//!
//! A task reads and decodes what is ready while the store applies what came before. It is never further
//! ahead than a few batches, and ends when its [`Feed`] is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use eventstore::codec::{Codec, DecodeError};
use eventstore::consumer::Checkpoint;
use eventstore::envelope::Commit;
use eventstore::log::{EventLog, ReadError, Record};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// The most events in a batch, unless a single commit has more.
const BATCH_EVENTS: usize = 2_000;
/// The most bytes that are decoded at once, unless a single record has more: about as many events.
const BATCH_BYTES: usize = 1024 * 1024;
/// How many decoded runs may wait.
const AHEAD: usize = 2;
/// The least time between two runs that are smaller than they may be: a transaction costs as much as many
/// rows, so what comes within a moment is to become one. What comes after a longer pause does not wait.
const GATHERING: Duration = Duration::from_millis(2);

/// Why a feed ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FeedError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record cannot be decoded. Everything before it came.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

type Run = Result<Vec<Commit>, FeedError>;

/// The decoded commits of a shard after a checkpoint.
pub(crate) struct Feed {
    runs: mpsc::Receiver<Run>,
    failure: Option<FeedError>,
    _task: AbortOnDropHandle<()>,
}

impl Feed {
    /// Begins to read after the checkpoint.
    pub(crate) fn start(log: Arc<dyn EventLog>, codec: Codec, from: Checkpoint) -> Self {
        let (sender, runs) = mpsc::channel(AHEAD);
        let reader = async move {
            let source = Source {
                records: log.follow(from.shard, from.sequence),
                pending: VecDeque::new(),
                failure: None,
            };
            source.decode_into(sender, codec).await;
        };
        Self {
            runs,
            failure: None,
            _task: AbortOnDropHandle::new(tokio::spawn(reader)),
        }
    }

    /// The next commits: as many as are ready, at least one, in order. Cancel safe.
    ///
    /// # Errors
    /// [`FeedError`]: the feed has ended.
    pub(crate) async fn next(&mut self) -> Run {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let ended = || FeedError::Read(ReadError::Unavailable("the feed has ended".to_owned()));
        let mut commits = self.runs.recv().await.ok_or_else(ended)??;
        let mut events = count(&commits);
        while events < BATCH_EVENTS {
            match self.runs.try_recv() {
                Ok(Ok(more)) => {
                    events += count(&more);
                    commits.extend(more);
                }
                Ok(Err(failure)) => {
                    self.failure = Some(failure);
                    break;
                }
                Err(_) => break,
            }
        }
        Ok(commits)
    }
}

fn count(commits: &[Commit]) -> usize {
    commits.iter().map(|commit| commit.events.len()).sum()
}

/// The records of the log that were read and not decoded yet.
struct Source {
    records: BoxStream<'static, Result<Vec<Record>, ReadError>>,
    pending: VecDeque<Record>,
    failure: Option<FeedError>,
}

impl Source {
    async fn decode_into(mut self, sender: mpsc::Sender<Run>, codec: Codec) {
        let mut next = Instant::now();
        loop {
            sleep_until(next).await;
            let records = self.take().await;
            let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
            next = Instant::now();
            if bytes < BATCH_BYTES / 4 {
                next += GATHERING;
            }
            if !records.is_empty() {
                let (commits, failure) = decode(&codec, &records).await;
                self.failure = failure.map(FeedError::Decode).or(self.failure);
                if !commits.is_empty() && sender.send(Ok(commits)).await.is_err() {
                    return;
                }
            }
            // What was read before the failure comes before it, unless it is itself the failure.
            let is_last = self.pending.is_empty() || matches!(self.failure, Some(FeedError::Decode(_)));
            if let Some(failure) = self.failure.take_if(|_| is_last) {
                // Nobody may be waiting for it any more.
                let _ = sender.send(Err(failure)).await;
                return;
            }
        }
    }

    /// The next records, as many as are ready and may be decoded at once. None only after a failure.
    async fn take(&mut self) -> Vec<Record> {
        if self.pending.is_empty() && self.failure.is_none() {
            let read = self.records.next().await;
            self.push(read);
        }
        let mut bytes: usize = self.pending.iter().map(|record| record.payload.len()).sum();
        while bytes < BATCH_BYTES && self.failure.is_none() {
            let Some(read) = self.records.next().now_or_never() else {
                break;
            };
            bytes += self.push(read);
        }
        let mut bytes = 0;
        let fitting = self.pending.iter().take_while(|record| {
            let fits = bytes == 0 || bytes + record.payload.len() <= BATCH_BYTES;
            bytes += record.payload.len();
            fits
        });
        let fitting = fitting.count();
        self.pending.drain(..fitting).collect()
    }

    fn push(&mut self, read: Option<Result<Vec<Record>, ReadError>>) -> usize {
        match read {
            Some(Ok(records)) => {
                let bytes = records.iter().map(|record| record.payload.len()).sum();
                self.pending.extend(records);
                bytes
            }
            Some(Err(error)) => {
                self.failure = Some(error.into());
                0
            }
            None => {
                self.failure = Some(ReadError::Unavailable("the log's stream has ended".to_owned()).into());
                0
            }
        }
    }
}

/// Decodes as many of the records as can be, from the first on.
async fn decode(codec: &Codec, records: &[Record]) -> (Vec<Commit>, Option<DecodeError>) {
    match codec.decode(records).await {
        Ok(commits) => (commits, None),
        Err(DecodeError::Undecodable {
            shard,
            sequence,
            detail,
        }) => {
            let readable = records
                .iter()
                .take_while(|record| record.sequence < sequence)
                .count();
            match codec.decode(&records[..readable]).await {
                Ok(commits) => (
                    commits,
                    Some(DecodeError::Undecodable {
                        shard,
                        sequence,
                        detail,
                    }),
                ),
                Err(error) => (Vec::new(), Some(error)),
            }
        }
        Err(error) => (Vec::new(), Some(error)),
    }
}
