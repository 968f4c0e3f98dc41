//! One stretch of following the log: from the last commit until something ends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use eventstore::{
    Checkpoint, Codec, DecodeError, EventLog, Progress, ReadError, Record, ResumeError, consumer,
};
use futures::stream::select_all;
use futures::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Status;
use crate::writer::{WriteError, Writer};

/// Records that are decoded in one go: between two goes it looks whether a commit is due.
const DECODED_AT_ONCE: usize = 64;

/// Commits are this far apart at least, and four times as far as the last one took, so that a slow disk
/// leaves time for the log.
const BETWEEN_COMMITS: Duration = Duration::from_secs(1);
/// What comes within this time of a first change is in the same commit.
const SETTLING: Duration = Duration::from_millis(50);
/// Records that changed nothing are in a commit after this time, lest a restart read them all again.
const UNCHANGED_COMMIT: Duration = Duration::from_secs(10);

/// The least time between two reads that gave little: nobody sees what is added before the next commit.
const GATHERING: Duration = Duration::from_millis(20);
const LITTLE: usize = 256;

/// Why a stretch ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the log has no more to follow")]
    LogEnded,
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the search index cannot be written: {0}")]
    Write(#[from] WriteError),
}

impl Failure {
    /// Whether trying again cannot help.
    pub(super) const fn is_final(&self) -> bool {
        match self {
            Self::Read(error)
            | Self::Resume(ResumeError::Read(error))
            | Self::Decode(DecodeError::Parts(error)) => {
                matches!(error, ReadError::Damaged { .. })
            }
            Self::Resume(ResumeError::ForeignEpoch { .. } | ResumeError::ForeignCommit { .. }) => true,
            Self::Decode(DecodeError::Undecodable { .. }) | Self::Write(WriteError::OutOfRank(_)) => true,
            Self::Decode(DecodeError::Keys(_)) | Self::LogEnded => false,
            Self::Write(WriteError::Busy | WriteError::Index(_)) => false,
        }
    }
}

/// Verifies that an index which is so far is one of this log.
///
/// # Errors
/// [`ResumeError`] when it is not, or the log cannot be read.
pub(super) async fn verify(log: &dyn EventLog, checkpoints: &[Checkpoint]) -> Result<(), ResumeError> {
    for checkpoint in checkpoints {
        if checkpoint.shard >= log.shards() {
            let (shard, sequence) = (checkpoint.shard, checkpoint.sequence);
            return Err(ResumeError::ForeignCommit { shard, sequence });
        }
        consumer::verify(log, checkpoint).await?;
    }
    Ok(())
}

/// What following needs.
pub(super) struct Follower {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) cancel: CancellationToken,
    codec: Codec,
    progress: Progress,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    taken: u64,
}

impl Follower {
    pub(super) const fn new(
        log: Arc<dyn EventLog>,
        codec: Codec,
        progress: Progress,
        cancel: CancellationToken,
        asked: mpsc::Receiver<oneshot::Sender<()>>,
    ) -> Self {
        Self {
            log,
            cancel,
            codec,
            progress,
            asked,
            taken: 0,
        }
    }

    /// How many records were taken in, over all stretches.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Follows the log until it is cancelled, with a final commit.
    ///
    /// # Errors
    /// [`Failure`]; what was taken in before it is committed where that is possible.
    pub(super) async fn follow(
        &mut self,
        mut writer: Writer,
        status: &watch::Sender<Status>,
    ) -> Result<(), Failure> {
        let followed = self.take_all(&mut writer, status).await;
        if writer.has_moved() && !matches!(followed, Err(Failure::Write(_))) {
            writer.commit(&self.progress)?;
        }
        followed
    }

    async fn take_all(&mut self, writer: &mut Writer, status: &watch::Sender<Status>) -> Result<(), Failure> {
        verify(self.log.as_ref(), writer.checkpoints()).await?;
        let mut records = self.records(writer);
        let mut waiting = VecDeque::new();
        let mut schedule = Schedule::new();
        let mut next_read = Instant::now();
        status.send_replace(Status::Running);
        loop {
            if waiting.is_empty() {
                let read = async {
                    tokio::time::sleep_until(next_read).await;
                    records.next().await
                };
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => return Ok(()),
                    Some(done) = self.asked.recv() => {
                        self.commit(writer, &mut schedule)?;
                        // Whoever asked may have gone.
                        let _ = done.send(());
                    }
                    () = tokio::time::sleep_until(schedule.due(writer)) => self.commit(writer, &mut schedule)?,
                    batch = read => {
                        waiting.extend(batch.unwrap_or(Err(Failure::LogEnded))?);
                        if waiting.len() < LITTLE {
                            next_read = Instant::now() + GATHERING;
                        }
                    }
                }
                continue;
            }
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            let asked = self.asked.try_recv().ok();
            if asked.is_some() || schedule.due(writer) <= Instant::now() {
                self.commit(writer, &mut schedule)?;
            }
            if let Some(done) = asked {
                let _ = done.send(());
            }
            let next: Vec<_> = waiting.drain(..waiting.len().min(DECODED_AT_ONCE)).collect();
            self.take(writer, &next).await?;
            schedule.took(writer);
            writer.advance(&self.progress);
        }
    }

    fn records(&self, writer: &Writer) -> impl Stream<Item = Result<Vec<Record>, Failure>> + use<> {
        let shards = (0..self.log.shards()).map(|shard| {
            let checkpoint = writer
                .checkpoints()
                .iter()
                .find(|checkpoint| checkpoint.shard == shard);
            self.log
                .follow(shard, checkpoint.map_or(0, |checkpoint| checkpoint.sequence))
        });
        // A shard whose stream ends would fall silent among the others: it says so.
        let end = || futures::stream::iter([Err(Failure::LogEnded)]);
        select_all(shards.map(|records| records.map(|batch| batch.map_err(Failure::Read)).chain(end())))
    }

    async fn take(&mut self, writer: &mut Writer, records: &[Record]) -> Result<(), Failure> {
        let (commits, failure) = match self.codec.decode(records).await {
            Ok(commits) => (commits, None),
            // What stands before the record that cannot be decoded is taken in.
            Err(DecodeError::Undecodable {
                shard,
                sequence,
                detail,
            }) => {
                let good = |record: &&Record| record.shard != shard || record.sequence != sequence;
                let good: Vec<_> = records.iter().take_while(good).cloned().collect();
                let failure = DecodeError::Undecodable {
                    shard,
                    sequence,
                    detail,
                };
                (self.codec.decode(&good).await?, Some(failure))
            }
            Err(failure) => return Err(failure.into()),
        };
        for commit in &commits {
            writer.take(commit)?;
            self.taken += 1;
        }
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn commit(&self, writer: &mut Writer, schedule: &mut Schedule) -> Result<(), Failure> {
        if writer.has_moved() {
            let begun = Instant::now();
            writer.commit(&self.progress)?;
            schedule.committed(begun);
        }
        Ok(())
    }
}

/// When the next commit is due.
struct Schedule {
    /// The first commit that may follow the last one.
    not_before: Instant,
    /// When something changed that is not committed.
    changed: Option<Instant>,
    /// When a record came that is not committed.
    moved: Option<Instant>,
}

impl Schedule {
    fn new() -> Self {
        Self {
            not_before: Instant::now(),
            changed: None,
            moved: None,
        }
    }

    fn took(&mut self, writer: &Writer) {
        let now = Instant::now();
        self.moved.get_or_insert(now);
        if writer.has_changes() {
            self.changed.get_or_insert(now);
        }
    }

    fn committed(&mut self, begun: Instant) {
        let now = Instant::now();
        self.not_before = now + BETWEEN_COMMITS.max((now - begun) * 4);
        self.changed = None;
        self.moved = None;
    }

    /// The time of the next commit; far away when there is nothing to commit.
    fn due(&self, writer: &Writer) -> Instant {
        const FAR: Duration = Duration::from_secs(86_400);
        match (self.changed, self.moved) {
            (Some(changed), _) => self.not_before.max(changed + SETTLING),
            (None, Some(moved)) if writer.has_moved() => moved + UNCHANGED_COMMIT,
            _ => Instant::now() + FAR,
        }
    }
}
