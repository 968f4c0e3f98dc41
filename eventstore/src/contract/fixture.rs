//! What the properties are spelled with.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::{CommitId, ConversationId, TenantId, UserId};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::timeout;
use ulid::Ulid;

use crate::log::{Append, AppendError, EventLog, Expected, ReadError, Record};
use crate::subject::Stream;

/// How long anything may take before the property counts as broken.
const DEADLINE: Duration = Duration::from_secs(60);

/// Records per page where the size of pages is not the point.
pub(super) const PAGE: usize = 100;

/// What a follower gives.
pub(super) type Batches = BoxStream<'static, Result<Vec<Record>, ReadError>>;

pub(super) fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub(super) fn conversation_id(n: u64) -> ConversationId {
    ConversationId::from_bytes(u128::from(n).to_be_bytes())
}

/// A conversation's stream; consecutive numbers are spread over the partitions.
pub(super) fn conversation(n: u64) -> Stream {
    Stream::Conversation(tenant(), conversation_id(n))
}

/// The lane of read marks beside [`conversation`].
pub(super) fn reads(n: u64) -> Stream {
    Stream::Reads(tenant(), conversation_id(n))
}

pub(super) fn user(id: &str) -> Stream {
    Stream::User(tenant(), UserId::parse(id).unwrap())
}

/// A payload that looks like a commit. The log does not look.
pub(super) fn payload(text: impl std::fmt::Display) -> Bytes {
    format!(r#"{{"events":[{{"text":"{text}"}}]}}"#).into()
}

pub(super) fn append(stream: &Stream, expected: Expected, payload: Bytes) -> Append {
    Append {
        stream: stream.clone(),
        expected,
        commit_id: CommitId::from(Ulid::generate()),
        payload,
    }
}

/// Appends and returns the record that must be there now.
pub(super) async fn appended(log: &dyn EventLog, append: Append) -> Record {
    let (stream, payload) = (append.stream.clone(), append.payload.clone());
    let sequence = log.append(append).await.unwrap().sequence;
    Record {
        shard: log.shard_of(&stream),
        sequence,
        stream,
        payload,
    }
}

/// Appends to the end of a stream that nobody else appends to.
pub(super) async fn pushed(log: &dyn EventLog, stream: &Stream, payload: Bytes) -> Record {
    let head = log.head(stream).await.unwrap();
    appended(log, append(stream, Expected::Head(head), payload)).await
}

pub(super) fn is_conflict<T>(result: &Result<T, AppendError>) -> bool {
    matches!(result, Err(AppendError::Conflict))
}

/// All of a shard after the sequence, page by page.
pub(super) async fn shard_after(log: &dyn EventLog, shard: u16, after: u64, page: usize) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let after = all.last().map_or(after, |record| record.sequence);
        let records = log.read(shard, after, page).await.unwrap();
        if records.is_empty() {
            return all;
        }
        assert!(records.len() <= page, "a page is longer than its limit");
        all.extend(records);
    }
}

/// All of a stream after the sequence, page by page.
pub(super) async fn stream_after(
    log: &dyn EventLog,
    stream: &Stream,
    after: u64,
    page: usize,
) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let after = all.last().map_or(after, |record| record.sequence);
        let records = log.read_stream(stream, after, page).await.unwrap();
        if records.is_empty() {
            return all;
        }
        assert!(records.len() <= page, "a page is longer than its limit");
        all.extend(records);
    }
}

/// All of a stream.
pub(super) async fn stream_of(log: &dyn EventLog, stream: &Stream) -> Vec<Record> {
    stream_after(log, stream, 0, PAGE).await
}

/// All of the log, shard by shard.
pub(super) async fn everything(log: &dyn EventLog) -> Vec<Record> {
    let mut all = Vec::new();
    for shard in 0..log.shards() {
        all.extend(shard_after(log, shard, 0, PAGE).await);
    }
    all
}

/// The next records of a follower, at least as many as asked for.
pub(super) async fn take(batches: &mut Batches, at_least: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < at_least {
        let next = in_time(batches.next()).await;
        let batch = next.expect("a follower goes on until it is dropped").unwrap();
        assert!(!batch.is_empty(), "a batch is never empty");
        records.extend(batch);
    }
    assert_in_order(&records);
    records
}

/// Each record comes after the one before it.
pub(super) fn assert_in_order(records: &[Record]) {
    for pair in records.windows(2) {
        assert!(
            pair[0].sequence < pair[1].sequence,
            "{} before {}",
            pair[0].sequence,
            pair[1].sequence
        );
    }
}

/// Compares records without printing megabytes of payloads.
pub(super) fn assert_same(actual: &[Record], expected: &[Record]) {
    let sequences = |records: &[Record]| records.iter().map(|r| r.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(actual), sequences(expected));
    for (actual, expected) in actual.iter().zip(expected) {
        assert!(actual == expected, "the records at {} differ", actual.sequence);
    }
}

/// Fails the property when it takes too long, instead of waiting for ever.
pub(super) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .expect("the property takes too long")
}

/// Runs one task per number at once and gathers what they return.
pub(super) async fn at_once<T, F>(
    log: &Arc<dyn EventLog>,
    tasks: u64,
    task: impl Fn(Arc<dyn EventLog>, u64) -> F,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..tasks)
        .map(|n| tokio::spawn(task(Arc::clone(log), n)))
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(in_time(task).await.unwrap());
    }
    results
}
