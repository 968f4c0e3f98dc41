//! Reading from the log what did not come live.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::super::Inner;
use crate::log::{ReadError, Record};
use crate::subject::Stream;

/// Records read at a time.
const PAGE: usize = 1_000;
/// A range is read whole while it has no more records than this, and [`PER_STREAM`] for each stream.
const RANGE: u64 = 4_000;
const PER_STREAM: u64 = 50;
/// Streams that are read at the same time.
const AT_ONCE: usize = 16;

/// What was read.
pub(super) enum Healed {
    /// The next records of a stream after what was seen of it.
    Stream(Stream, Vec<Record>),
    /// Where the shard ends.
    End(u64),
    /// What the shard has after what was verified, of all streams or of those that are listened to:
    /// nothing of it is missing up to `to`.
    Range {
        /// Each stream's in order.
        records: Vec<Record>,
        to: u64,
    },
}

/// The next page of one stream.
pub(super) async fn stream(
    inner: Arc<Inner>,
    shard: u16,
    stream: Stream,
    seen: u64,
) -> Result<Healed, ReadError> {
    let records = inner.page(inner.shard(shard)?, Some(&stream), seen, PAGE).await?;
    Ok(Healed::Stream(stream, records))
}

/// Where the shard ends, by its leader's knowledge.
pub(super) async fn end(
    inner: Arc<Inner>,
    shard: u16,
    verified: u64,
    short_answers: Arc<AtomicU32>,
) -> Result<Healed, ReadError> {
    let end = inner.verified_end(shard, verified, &short_answers).await?;
    Ok(Healed::End(end))
}

/// The next page of what a shard has after `verified`.
pub(super) async fn page(inner: Arc<Inner>, shard: u16, verified: u64) -> Result<Healed, ReadError> {
    let records = inner.page(inner.shard(shard)?, None, verified, PAGE).await?;
    match records.last().map(|last| last.sequence) {
        Some(to) => Ok(Healed::Range { records, to }),
        None => Err(not_yet()),
    }
}

/// What each of these streams has after its own sequence up to the end.
pub(super) async fn streams(
    inner: Arc<Inner>,
    shard: u16,
    streams: Vec<(Stream, u64)>,
    end: u64,
) -> Result<Healed, ReadError> {
    let records = each(&inner, shard, streams, end).await?;
    Ok(Healed::Range { records, to: end })
}

fn not_yet() -> ReadError {
    ReadError::Unavailable("the shard's end is not readable yet".to_owned())
}

/// All that these streams have in `(since, end]`.
pub(super) async fn between(
    inner: &Arc<Inner>,
    shard: u16,
    streams: &[Stream],
    since: u64,
    end: u64,
) -> Result<Vec<Record>, ReadError> {
    if streams.is_empty() || since >= end {
        return Ok(Vec::new());
    }
    if is_long(since, end, streams.len()) {
        let streams: Vec<_> = streams.iter().map(|stream| (stream.clone(), since)).collect();
        return each(inner, shard, streams, end).await;
    }
    let wanted: HashSet<&Stream> = streams.iter().collect();
    let (mut after, mut records) = (since, Vec::new());
    while after < end {
        let page = inner.page(inner.shard(shard)?, None, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Err(not_yet());
        };
        after = last.sequence;
        records.extend(
            page.into_iter()
                .filter(|record| record.sequence <= end && wanted.contains(&record.stream)),
        );
    }
    Ok(records)
}

/// Whether a range is so long that it is cheaper to ask for each stream.
pub(super) fn is_long(after: u64, end: u64, streams: usize) -> bool {
    let streams = u64::try_from(streams).unwrap_or(u64::MAX);
    end.saturating_sub(after) > RANGE.saturating_add(PER_STREAM.saturating_mul(streams))
}

/// What each of these streams has after its own sequence up to `end`.
async fn each(
    inner: &Arc<Inner>,
    shard: u16,
    streams: Vec<(Stream, u64)>,
    end: u64,
) -> Result<Vec<Record>, ReadError> {
    let reading = streams.into_iter().map(|(stream, mut after)| {
        let inner = Arc::clone(inner);
        async move {
            let mut records = Vec::new();
            loop {
                let page = inner
                    .page(inner.shard(shard)?, Some(&stream), after, PAGE)
                    .await?;
                let Some(last) = page.last() else { break };
                after = last.sequence;
                records.extend(page.into_iter().filter(|record| record.sequence <= end));
                if after >= end {
                    break;
                }
            }
            Ok::<_, ReadError>(records)
        }
    });
    stream::iter(reading).buffer_unordered(AT_ONCE).try_concat().await
}
