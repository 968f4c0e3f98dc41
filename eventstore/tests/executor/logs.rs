//! Logs for tests: one in memory, and one in front of another that counts, holds back and intervenes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use domain::CommitId;
use eventstore::{Append, AppendError, Appended, Epoch, EventLog, Expected, ReadError, Record, Stream};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::sync::RwLock;

/// A log in front of another.
pub(super) struct Watched {
    log: Arc<dyn EventLog>,
    /// Records that stream reads gave.
    pub(super) records_read: AtomicU64,
    /// How often a head was asked for.
    pub(super) heads: AtomicU64,
    pub(super) appends: AtomicU64,
    pub(super) conflicts: AtomicU64,
    /// Whoever holds this for writing holds back every append.
    pub(super) gate: Arc<RwLock<()>>,
    /// Appends do not arrive, and it is not known that they did not.
    pub(super) silent: AtomicBool,
    /// So many of the next stream reads find nothing, as if a follower of the log's leader answered.
    pub(super) blind_reads: AtomicU64,
    interlude: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Watched {
    pub(super) fn new(log: Arc<dyn EventLog>) -> Arc<Self> {
        Arc::new(Self {
            log,
            records_read: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            appends: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            gate: Arc::default(),
            silent: AtomicBool::new(false),
            blind_reads: AtomicU64::new(0),
            interlude: Mutex::default(),
        })
    }

    /// Lets the next append arrive, then lets this happen, and then loses the acknowledgement.
    pub(super) fn lose_next_answer_after(&self, interlude: impl Future<Output = ()> + Send + 'static) {
        *self.interlude.lock().unwrap() = Some(Box::pin(interlude));
    }
}

#[async_trait]
impl EventLog for Watched {
    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    fn shards(&self) -> u16 {
        self.log.shards()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.appends.fetch_add(1, SeqCst);
        if self.silent.load(SeqCst) {
            return Err(AppendError::Unknown("silent on purpose".to_owned()));
        }
        let gate = self.gate.read().await;
        let outcome = self.log.append(append).await;
        drop(gate);
        let interlude = self.interlude.lock().unwrap().take();
        if let Some(interlude) = interlude {
            interlude.await;
            return Err(AppendError::Unknown("lost on purpose".to_owned()));
        }
        if matches!(outcome, Err(AppendError::Conflict)) {
            self.conflicts.fetch_add(1, SeqCst);
        }
        outcome
    }

    async fn head(&self, stream: &Stream) -> Result<u64, ReadError> {
        self.heads.fetch_add(1, SeqCst);
        self.log.head(stream).await
    }

    async fn read_stream(&self, stream: &Stream, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        if self
            .blind_reads
            .fetch_update(SeqCst, SeqCst, |blind| blind.checked_sub(1))
            .is_ok()
        {
            return Ok(Vec::new());
        }
        let records = self.log.read_stream(stream, after, limit).await?;
        self.records_read.fetch_add(records.len() as u64, SeqCst);
        Ok(records)
    }

    async fn read(&self, shard: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.log.read(shard, after, limit).await
    }

    async fn end(&self, shard: u16) -> Result<u64, ReadError> {
        self.log.end(shard).await
    }

    fn follow(&self, shard: u16, after: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        self.log.follow(shard, after)
    }
}

/// A log in memory, of one shard. It knows no commit ids: expectations alone keep doubles out.
pub(super) struct MemoryLog {
    epoch: Epoch,
    records: Mutex<Vec<(Stream, CommitId, Bytes)>>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self {
            epoch: Epoch::draw(),
            records: Mutex::default(),
        }
    }
}

impl MemoryLog {
    fn after(&self, after: u64, limit: usize, stream: Option<&Stream>) -> Vec<Record> {
        let records = self.records.lock().unwrap();
        let numbered = records.iter().zip(1..).skip(usize::try_from(after).unwrap());
        let wanted = numbered.filter(|((of, ..), _)| stream.is_none_or(|stream| stream == of));
        let record = |((stream, _, payload), sequence): (&(Stream, CommitId, Bytes), u64)| Record {
            shard: 0,
            sequence,
            stream: stream.clone(),
            payload: payload.clone(),
        };
        wanted.take(limit).map(record).collect()
    }

    fn head_of(records: &[(Stream, CommitId, Bytes)], stream: &Stream) -> u64 {
        records
            .iter()
            .rposition(|(of, ..)| of == stream)
            .map_or(0, |index| index as u64 + 1)
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn shards(&self) -> u16 {
        1
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut records = self.records.lock().unwrap();
        let head = Self::head_of(&records, &append.stream);
        if matches!(append.expected, Expected::Head(expected) if expected != head) {
            return Err(AppendError::Conflict);
        }
        records.push((append.stream, append.commit_id, append.payload));
        Ok(Appended {
            sequence: records.len() as u64,
        })
    }

    async fn head(&self, stream: &Stream) -> Result<u64, ReadError> {
        Ok(Self::head_of(&self.records.lock().unwrap(), stream))
    }

    async fn read_stream(&self, stream: &Stream, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        Ok(self.after(after, limit, Some(stream)))
    }

    async fn read(&self, _: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        Ok(self.after(after, limit, None))
    }

    async fn end(&self, _: u16) -> Result<u64, ReadError> {
        Ok(self.records.lock().unwrap().len() as u64)
    }

    /// Nobody follows here.
    fn follow(&self, _: u16, _: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        stream::pending().boxed()
    }
}
