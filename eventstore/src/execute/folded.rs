//! A stream's state in memory: loaded from a snapshot and the tail of the log, and kept up with it.

use domain::{CommitId, Timestamp};

use super::changes::KnownChanges;
use super::known::{Known, KnownCommands};
use super::patience::Stores;
use super::{ExecuteError, FIRST_PAUSE, Ports, rest};
use crate::codec::DecodeError;
use crate::envelope::{Commit, Logged};
use crate::log::{ReadError, Record};
use crate::snapshot::Snapshot;
use crate::subject::Stream;

/// Records read at a time.
const PAGE: usize = 1_000;
/// Events after which a new snapshot is worth its writing; a large state waits for more of them.
const SNAPSHOT_EVENTS: u64 = 256;
const SNAPSHOT_BYTES_PER_EVENT: u64 = 256;
/// How often a tail is asked for that the log says it has: for about two seconds.
const TAIL_READS: u32 = 10;
/// How long a named command is remembered at least, in milliseconds.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1_000;

/// Why a state could not be had.
pub(super) enum FoldError {
    Unavailable(String),
    KeysAway(String),
    Undecodable(String),
}

impl From<ReadError> for FoldError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(what) => Self::Unavailable(what),
            ReadError::Damaged { .. } => Self::Undecodable(error.to_string()),
        }
    }
}

impl From<DecodeError> for FoldError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Keys(error) => Self::KeysAway(error.to_string()),
            DecodeError::Parts(error) => error.into(),
            DecodeError::Undecodable { .. } => Self::Undecodable(error.to_string()),
        }
    }
}

impl<E> From<FoldError> for ExecuteError<E> {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Unavailable(what) => Self::Unavailable(what),
            FoldError::KeysAway(what) => Self::KeysAway(what),
            FoldError::Undecodable(what) => Self::Undecodable(what),
        }
    }
}

/// A state and where in its stream it is true.
pub(super) struct Folded<A: Logged> {
    pub(super) state: A::State,
    /// The sequence of the newest commit in it; 0 when the stream is empty.
    pub(super) head: u64,
    head_commit: Option<CommitId>,
    pub(super) version: u64,
    pub(super) time: Timestamp,
    /// The version at which the next snapshot is due.
    snapshot_due: u64,
}

impl<A: Logged> Clone for Folded<A> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            ..*self
        }
    }
}

impl<A: Logged> Folded<A> {
    fn empty() -> Self {
        Self {
            state: A::State::default(),
            head: 0,
            head_commit: None,
            version: 0,
            time: Timestamp::default(),
            snapshot_due: SNAPSHOT_EVENTS,
        }
    }

    /// Loads a stream, from its snapshot when there is one of this log and shape. The state is at least
    /// as new as the call.
    pub(super) async fn load(
        ports: &Ports,
        stores: &Stores,
        stream: &Stream,
        known: &mut Known,
    ) -> Result<Self, FoldError> {
        let mut folded = match Self::from_snapshot(ports, stores, stream).await? {
            Some(folded) => folded,
            None => Self::empty(),
        };
        *known = Known::above(folded.head);
        folded.catch_up(ports, stream, known).await?;
        Ok(folded)
    }

    async fn from_snapshot(
        ports: &Ports,
        stores: &Stores,
        stream: &Stream,
    ) -> Result<Option<Self>, FoldError> {
        let Some(schema) = A::SNAPSHOT else {
            return Ok(None);
        };
        // Without an answer, the state is folded from the log alone.
        let Some(snapshot) = stores.snapshot(stream).await.flatten() else {
            return Ok(None);
        };
        if snapshot.schema != schema || snapshot.epoch != ports.log.epoch() || snapshot.head == 0 {
            return Ok(None);
        }
        let there = ports.log.read_stream(stream, snapshot.head - 1, 1).await?;
        let is_there = |record: &Record| {
            record.sequence == snapshot.head
                && crate::codec::commit_id(&record.payload) == Some(snapshot.commit_id)
        };
        if !there.first().is_some_and(is_there) {
            tracing::warn!(stream = %stream, "a snapshot of another log is passed over");
            return Ok(None);
        }
        Ok(A::restore(&snapshot.state).map(|state| Self {
            state,
            head: snapshot.head,
            head_commit: Some(snapshot.commit_id),
            version: snapshot.version,
            time: snapshot.time,
            snapshot_due: snapshot.version + SNAPSHOT_EVENTS,
        }))
    }

    /// Folds what the log has beyond the head, and returns the ids of those commits with their
    /// sequences. The state is at least as new as the call: the log's head is asked for first, and the
    /// tail is read up to it, whoever answers the reads.
    pub(super) async fn catch_up(
        &mut self,
        ports: &Ports,
        stream: &Stream,
        known: &mut Known,
    ) -> Result<Vec<(CommitId, u64)>, FoldError> {
        let head = ports.log.head(stream).await?;
        let mut folded = Vec::new();
        while self.head < head {
            for commit in read_tail(ports, stream, self.head).await? {
                known.learn(&commit);
                folded.push((commit.id, commit.sequence));
                self.fold(&commit);
            }
        }
        Ok(folded)
    }

    fn fold(&mut self, commit: &Commit) {
        for recorded in &commit.events {
            if let Some(event) = A::unwrap(&recorded.event) {
                A::evolve(&mut self.state, event);
            }
            self.version = recorded.version;
        }
        self.advance(commit.id, commit.sequence, commit.time);
    }

    /// Says that the state now stands at this commit.
    pub(super) fn advance(&mut self, commit: CommitId, sequence: u64, time: Timestamp) {
        self.head = sequence;
        self.head_commit = Some(commit);
        self.time = self.time.max(time);
    }

    /// A snapshot to save, when one is due.
    pub(super) fn due_snapshot(&mut self, ports: &Ports) -> Option<Snapshot> {
        let schema = A::SNAPSHOT?;
        if self.version < self.snapshot_due {
            return None;
        }
        let state = A::snapshot(&self.state)?;
        self.snapshot_due = self.version + SNAPSHOT_EVENTS + state.len() as u64 / SNAPSHOT_BYTES_PER_EVENT;
        Some(Snapshot {
            schema: schema.to_owned(),
            epoch: ports.log.epoch(),
            head: self.head,
            commit_id: self.head_commit?,
            version: self.version,
            time: self.time,
            state,
        })
    }
}

/// The next commits of a stream after the sequence, where the log says that there are some.
async fn read_tail(ports: &Ports, stream: &Stream, after: u64) -> Result<Vec<Commit>, FoldError> {
    let mut pause = FIRST_PAUSE;
    for _ in 0..TAIL_READS {
        let records = ports.log.read_stream(stream, after, PAGE).await?;
        if !records.is_empty() {
            return Ok(ports.codec.decode(&records).await?);
        }
        pause = rest(pause).await;
    }
    Err(FoldError::Unavailable(
        "the tail of the stream is not readable yet".to_owned(),
    ))
}

/// Reads the named commands of a stream's commits above `from`, up to where an actor that has folded the
/// stream up to `head` knows them: the stretch between what the read model has and what the actor holds.
/// Commands that need not be remembered any more are left out.
pub(super) async fn learn_between(
    ports: &Ports,
    stream: &Stream,
    known: &mut KnownCommands,
    from: u64,
    head: u64,
) -> Result<(), FoldError> {
    let to = known.floor.min(head);
    let forgotten = Timestamp::from_millis((ports.clock)().as_millis() - REMEMBERED_MS);
    let mut after = from;
    while after < to {
        let commits = read_tail(ports, stream, after).await?;
        let is_old = |commit: &Commit| commit.time < forgotten;
        let all_old = commits.iter().all(is_old);
        for commit in &commits {
            after = commit.sequence;
            if !is_old(commit) {
                known.learn(commit);
            }
        }
        if all_old {
            after = newest_old(ports, stream, after, to, forgotten).await?;
        }
    }
    known.floor = from;
    Ok(())
}

/// Reads what changed of messages in a stream's commits above `from`, up to where an actor that has folded
/// the stream up to `head` knows it.
pub(super) async fn learn_changes_between(
    ports: &Ports,
    stream: &Stream,
    known: &mut KnownChanges,
    from: u64,
    head: u64,
) -> Result<(), FoldError> {
    let to = known.floor.min(head);
    let mut after = from;
    while after < to {
        for commit in read_tail(ports, stream, after).await? {
            after = commit.sequence;
            known.learn(&commit);
        }
    }
    known.floor = from;
    Ok(())
}

/// A sequence between these two up to which all commits of a stream are older than this, and not far
/// before the first that is not. Commits are never recorded earlier than those before them, so it is
/// found by halving, and a long history needs not be read.
async fn newest_old(
    ports: &Ports,
    stream: &Stream,
    old: u64,
    to: u64,
    than: Timestamp,
) -> Result<u64, FoldError> {
    let (mut old, mut beyond) = (old, to);
    while beyond.saturating_sub(old) > PAGE as u64 {
        let middle = old + (beyond - old) / 2;
        let records = ports.log.read_stream(stream, middle, 1).await?;
        match ports.codec.decode(&records).await?.first() {
            Some(next) if next.sequence <= to && next.time < than => old = next.sequence,
            _ => beyond = middle,
        }
    }
    Ok(old)
}
