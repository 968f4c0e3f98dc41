//! The port of the log: append with an expectation, read a stream, read a shard, follow it live.
//!
//! A record is one commit: the events of one append, atomic. A record's sequence is its number in its
//! shard, rising and not necessarily contiguous. Every implementation passes the suite in `contract`.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use domain::CommitId;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::subject::Stream;

/// The most bytes that a record's payload may have.
pub const MAX_COMMIT_BYTES: usize = 256 * 1024;

/// The incarnation of a log: drawn when it is created, kept in its metadata. A log that was recreated is
/// another one, and positions of the old one mean nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(Ulid);

impl Epoch {
    /// A new incarnation.
    #[must_use]
    pub fn draw() -> Self {
        Self(Ulid::generate())
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Epoch {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        Ulid::from_string(text).map(Self).map_err(|_| PositionError)
    }
}

/// Where a commit is: `{epoch}-{shard}-{sequence}` when written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The incarnation of the log.
    pub epoch: Epoch,
    /// The ordered part of the log.
    pub shard: u16,
    /// The number of the record in its shard; 0 is before the first.
    pub sequence: u64,
}

/// A text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is written as epoch-shard-sequence")]
pub struct PositionError;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.epoch, self.shard, self.sequence)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(PositionError);
        let (epoch, shard, sequence) = (next()?.parse()?, next()?, next()?);
        let (Ok(shard), Ok(sequence), None) = (shard.parse(), sequence.parse(), parts.next()) else {
            return Err(PositionError);
        };
        Ok(Self {
            epoch,
            shard,
            sequence,
        })
    }
}

/// What an append expects of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing: it goes wherever the stream's end is.
    Any,
    /// The stream's newest record has this sequence; 0 when the stream must be empty.
    Head(u64),
}

/// One append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The stream it goes to.
    pub stream: Stream,
    /// What must be true of the stream.
    pub expected: Expected,
    /// The commit's id: a second net against duplicates.
    pub commit_id: CommitId,
    /// The encoded commit, at most [`MAX_COMMIT_BYTES`].
    pub payload: Bytes,
}

/// An append that is durably in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The record's number in its shard.
    pub sequence: u64,
}

/// Why an append was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream is not as expected, and nothing was appended by THIS call. An earlier call with the
    /// same bytes may have been: look for the commit id in the tail. The tail may also be empty still,
    /// when another append is on its way: decide again.
    #[error("the stream has moved on")]
    Conflict,
    /// The payload is over the cap, and nothing was appended.
    #[error("the commit has {size} bytes, more than {MAX_COMMIT_BYTES}")]
    TooLarge {
        /// Bytes of the payload.
        size: usize,
    },
    /// It is unknown whether the append took place or still will: send the same again until an
    /// acknowledgement or a conflict ends it.
    #[error("the outcome of the append is unknown: {0}")]
    Unknown(String),
    /// The log is away, and nothing was appended.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
}

/// Why a read failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The log is away.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The log holds something that is not a record.
    #[error("the log is damaged at sequence {sequence}: {detail}")]
    Damaged {
        /// Where.
        sequence: u64,
        /// What is wrong there.
        detail: String,
    },
}

/// One record: one commit, not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The ordered part of the log it is in.
    pub shard: u16,
    /// Its number there.
    pub sequence: u64,
    /// The stream it belongs to.
    pub stream: Stream,
    /// The encoded commit.
    pub payload: Bytes,
}

/// A log of commits, ordered within each shard.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// The incarnation of this log.
    fn epoch(&self) -> Epoch;

    /// How many shards there are; at least 1.
    fn shards(&self) -> u16;

    /// The shard that owns a stream.
    fn shard_of(&self, stream: &Stream) -> u16 {
        stream.partition() % self.shards()
    }

    /// The position of a record of this log.
    fn position(&self, shard: u16, sequence: u64) -> Position {
        Position {
            epoch: self.epoch(),
            shard,
            sequence,
        }
    }

    /// Appends one commit atomically. When it returns, the record is durable.
    ///
    /// # Errors
    /// [`AppendError`]; only [`AppendError::Unknown`] leaves open whether the record is there. A repeat
    /// of the same append may be answered by the first one's acknowledgement or by a conflict.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// The sequence of a stream's newest record, 0 when it is empty. Linearizable: an append that was
    /// acknowledged before the call, by any node, is seen.
    ///
    /// # Errors
    /// [`ReadError`] when the log is away.
    async fn head(&self, stream: &Stream) -> Result<u64, ReadError>;

    /// Up to `limit` records of a stream after the sequence, in order. Fewer than `limit` may come
    /// although there are more (a page is bounded in bytes too); none come only at the end.
    ///
    /// # Errors
    /// [`ReadError`] when the log is away or damaged.
    async fn read_stream(&self, stream: &Stream, after: u64, limit: usize) -> Result<Vec<Record>, ReadError>;

    /// Up to `limit` records of a shard after the sequence, in order. Fewer than `limit` may come
    /// although there are more; none come only at the end.
    ///
    /// # Errors
    /// [`ReadError`] when the log is away or damaged.
    async fn read(&self, shard: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError>;

    /// The sequence of a shard's newest record, 0 when it is empty.
    ///
    /// # Errors
    /// [`ReadError`] when the log is away.
    async fn end(&self, shard: u16) -> Result<u64, ReadError>;

    /// Every record of a shard after the sequence, each once and in order, and from then on each new
    /// one soon after it was appended, in batches that are never empty. The stream goes on until it is
    /// dropped or fails; who resumes it gives the sequence of the last record that came.
    fn follow(&self, shard: u16, after: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_round_trip_and_nothing_else_parses() {
        let position = Position {
            epoch: Epoch::draw(),
            shard: 3,
            sequence: 42,
        };
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in [
            "",
            "1-2",
            "x-0-1",
            &format!("{position}-4"),
            &format!("{}-0--1", position.epoch),
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
    }
}
