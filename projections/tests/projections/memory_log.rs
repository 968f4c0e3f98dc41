//! A log in memory, for tests and measurements of what stands above it. Its sequences have holes, as a
//! shared stream's do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use eventstore::log::{Append, AppendError, Appended, Epoch, EventLog, Expected, ReadError, Record};
use eventstore::subject::Stream;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::sync::Arc;
use tokio::sync::watch;

/// How many records a read answers at most.
const PAGE: usize = 512;

/// A log that is gone with the process.
pub(crate) struct MemoryLog {
    epoch: Epoch,
    shards: Arc<[Shard]>,
    /// How many reads fail before one succeeds again.
    failures: Arc<Mutex<u32>>,
}

struct Shard {
    records: Mutex<Records>,
    end: watch::Sender<u64>,
}

#[derive(Default)]
struct Records {
    all: Vec<Record>,
    heads: HashMap<Stream, u64>,
}

impl MemoryLog {
    /// An empty log.
    pub(crate) fn new(shards: u16) -> Self {
        let shard = || Shard {
            records: Mutex::default(),
            end: watch::Sender::new(0),
        };
        Self {
            epoch: Epoch::draw(),
            shards: (0..shards).map(|_| shard()).collect(),
            failures: Arc::default(),
        }
    }

    /// Makes the next reads fail.
    #[allow(dead_code, reason = "not every user of this file needs it")]
    pub(crate) fn fail_reads(&self, count: u32) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = count;
    }

    /// Appends whatever it is, and answers its sequence.
    pub(crate) fn push(&self, stream: Stream, payload: bytes::Bytes) -> u64 {
        let number = self.shard_of(&stream);
        let shard = &self.shards[usize::from(number)];
        let mut records = shard.records.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = records
            .all
            .last()
            .map_or(1, |last| last.sequence + 1 + u64::from(payload[0] % 2));
        records.heads.insert(stream.clone(), sequence);
        records.all.push(Record {
            shard: number,
            sequence,
            stream,
            payload,
        });
        drop(records);
        shard.end.send_replace(sequence);
        sequence
    }
}

impl Shard {
    fn after(&self, sequence: u64, limit: usize) -> Vec<Record> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let start = records.all.partition_point(|record| record.sequence <= sequence);
        records.all[start..].iter().take(limit).cloned().collect()
    }
}

fn away(failures: &Mutex<u32>) -> Result<(), ReadError> {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if *failures > 0 {
        *failures -= 1;
        return Err(ReadError::Unavailable("it was told to fail".to_owned()));
    }
    Ok(())
}

#[async_trait]
impl EventLog for MemoryLog {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn shards(&self) -> u16 {
        u16::try_from(self.shards.len()).unwrap_or(u16::MAX)
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let head = self
            .head(&append.stream)
            .await
            .map_err(|e| AppendError::Unavailable(e.to_string()))?;
        if append.expected != Expected::Any && append.expected != Expected::Head(head) {
            return Err(AppendError::Conflict);
        }
        Ok(Appended {
            sequence: self.push(append.stream, append.payload),
        })
    }

    async fn head(&self, stream: &Stream) -> Result<u64, ReadError> {
        let shard = &self.shards[usize::from(self.shard_of(stream))];
        let records = shard.records.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(records.heads.get(stream).copied().unwrap_or(0))
    }

    async fn read_stream(&self, stream: &Stream, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        let records = self.shards[usize::from(self.shard_of(stream))].after(after, usize::MAX);
        Ok(records
            .into_iter()
            .filter(|record| record.stream == *stream)
            .take(limit)
            .collect())
    }

    async fn read(&self, shard: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        away(&self.failures)?;
        Ok(self.shards[usize::from(shard)].after(after, limit))
    }

    async fn end(&self, shard: u16) -> Result<u64, ReadError> {
        Ok(*self.shards[usize::from(shard)].end.borrow())
    }

    fn follow(&self, shard: u16, after: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        let (shards, failures) = (Arc::clone(&self.shards), Arc::clone(&self.failures));
        stream::unfold(Some(after), move |after| {
            let (shards, failures) = (Arc::clone(&shards), Arc::clone(&failures));
            async move {
                let (after, shard) = (after?, &shards[usize::from(shard)]);
                let mut end = shard.end.subscribe();
                end.wait_for(|end| *end > after).await.ok()?;
                if let Err(error) = away(&failures) {
                    return Some((Err(error), None));
                }
                let page = shard.after(after, PAGE);
                let last = page.last()?.sequence;
                Some((Ok(page), Some(last)))
            }
        })
        .boxed()
    }
}
