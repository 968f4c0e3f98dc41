//! The port of live delivery: the records of chosen streams, from a place in the log on and as they come.
//!
//! A node has one feed per shard and listens in it to the streams that its sockets need. Per stream each
//! record comes once and in order; across streams the order is open. Beside records a feed tells how far
//! it is verified: up to there nothing that was listened to is missing, and a cursor may stand there.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::log::{ReadError, Record};
use crate::subject::Stream;

/// What came, and how far nothing is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Records of streams that are listened to, each stream's in order.
    pub records: Vec<Record>,
    /// Every record of every stream that is listened to with a sequence up to this one was handed out. It
    /// never decreases.
    pub verified: u64,
}

/// A log that can be listened to.
#[async_trait]
pub trait LiveLog: Send + Sync + 'static {
    /// A feed of one shard that listens to nothing yet and begins at the shard's end.
    ///
    /// # Errors
    /// [`ReadError`] when the log is away, or is not the one that was opened any more.
    async fn live(&self, shard: u16) -> Result<Box<dyn LiveFeed>, ReadError>;

    /// What someone has to do so that all nodes' feeds of a shard notice quickly what they missed: the
    /// holder of the shard's lease runs it. Without it, or with two of it, feeds are as right, but slower.
    /// It ends when it is cancelled and not before.
    async fn attend(&self, shard: u16, until: CancellationToken);
}

/// One shard, listened to.
#[async_trait]
pub trait LiveFeed: Send {
    /// How far the feed is verified; at its beginning, where it begins.
    fn verified(&self) -> u64;

    /// Why the feed may be behind; `None` while it is not.
    fn health(&self) -> watch::Receiver<Option<String>>;

    /// From now on the records of these streams of the feed's shard come too, from the first one after
    /// `since` on. Those that are listened to already stay as they are. When it returns, every record of
    /// the new ones up to now is held for [`Self::next`], so `since` should not be long ago, and every
    /// later one will come. Not resumed when it is dropped: then nothing has changed.
    ///
    /// # Errors
    /// [`ReadError`] when the log is away or damaged; then none of the new ones is listened to.
    async fn listen(&mut self, streams: Vec<Stream>, since: u64) -> Result<(), ReadError>;

    /// No more of these streams.
    fn unlisten(&mut self, streams: &[Stream]);

    /// What is next; waits while there is nothing, and for a log that is away. Cancel-safe.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when the log is not the same any more, or holds what is not a record.
    async fn next(&mut self) -> Result<Live, ReadError>;
}

/// What a feed listens to, and what it will hand out next.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Per stream: everything up to this sequence was handed out, is ready, or was never wanted.
    seen: HashMap<Stream, u64>,
    ready: Vec<Record>,
    verified: u64,
    /// What was last said of `verified`.
    told: u64,
}

impl Listening {
    /// Listens to nothing, from here on.
    pub(crate) fn from(verified: u64) -> Self {
        Self {
            seen: HashMap::new(),
            ready: Vec::new(),
            verified,
            told: verified,
        }
    }

    pub(crate) const fn verified(&self) -> u64 {
        self.verified
    }

    /// Up to where a stream needs nothing; `None` when it is not listened to.
    pub(crate) fn seen(&self, stream: &Stream) -> Option<u64> {
        self.seen.get(stream).copied()
    }

    pub(crate) fn streams(&self) -> impl ExactSizeIterator<Item = (&Stream, u64)> {
        self.seen.iter().map(|(stream, seen)| (stream, *seen))
    }

    /// Those of the streams that are not listened to, each once.
    pub(crate) fn unknown(&self, streams: Vec<Stream>) -> Vec<Stream> {
        let new: HashSet<_> = streams
            .into_iter()
            .filter(|stream| !self.seen.contains_key(stream))
            .collect();
        new.into_iter().collect()
    }

    /// Listens to these too. `read` is all that they have in `(since, end]`.
    pub(crate) fn listen(&mut self, streams: Vec<Stream>, since: u64, end: u64, read: Vec<Record>) {
        self.seen
            .extend(streams.into_iter().map(|stream| (stream, since.max(end))));
        self.ready.extend(read);
    }

    /// Listens to these no more.
    pub(crate) fn unlisten(&mut self, streams: &[Stream]) {
        for stream in streams {
            self.seen.remove(stream);
        }
        let seen = &self.seen;
        self.ready.retain(|record| seen.contains_key(&record.stream));
    }

    /// Takes a record that is its stream's next after what was seen, and drops what is not wanted.
    pub(crate) fn take(&mut self, record: Record) {
        if let Some(seen) = self.seen.get_mut(&record.stream)
            && record.sequence > *seen
        {
            *seen = record.sequence;
            self.ready.push(record);
        }
    }

    /// Says that nothing is missing up to this sequence.
    pub(crate) fn verify(&mut self, to: u64) {
        self.verified = self.verified.max(to);
    }

    /// What there is to hand out, if anything.
    pub(crate) fn due(&mut self) -> Option<Live> {
        if self.ready.is_empty() && self.told == self.verified {
            return None;
        }
        self.told = self.verified;
        Some(Live {
            records: std::mem::take(&mut self.ready),
            verified: self.verified,
        })
    }
}
