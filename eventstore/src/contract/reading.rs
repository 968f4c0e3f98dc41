//! Properties of reads: complete, bounded, at once; and of a log that is opened again.

use std::sync::Arc;

use bytes::Bytes;

use super::Home;
use super::fixture::{
    append, appended, assert_same, conversation, everything, is_conflict, payload, pushed, reads,
    shard_after, stream_after, stream_of,
};
use crate::log::{Expected, MAX_COMMIT_BYTES, Record};

/// What was acknowledged is seen by the next look, every time.
pub async fn an_acknowledged_append_is_seen_at_once<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    let mut head = 0;
    for n in 0..100 {
        let record = appended(log.as_ref(), append(&stream, Expected::Head(head), payload(n))).await;
        assert_eq!(log.head(&stream).await.unwrap(), record.sequence);
        assert_eq!(log.end(record.shard).await.unwrap(), record.sequence);
        let only = std::slice::from_ref(&record);
        assert_eq!(log.read_stream(&stream, head, 10).await.unwrap(), only);
        assert_eq!(log.read(record.shard, head, 10).await.unwrap(), only);
        head = record.sequence;
    }
}

/// Whatever the page's limit and wherever it begins, the pages together are everything, once.
pub async fn pages_are_complete_whatever_the_limit<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    let mut expected = Vec::new();
    for n in 0..120 {
        expected.push(appended(log.as_ref(), append(&stream, Expected::Any, payload(n))).await);
        // Others of the same shard stand between them, so the stream's own sequences have gaps.
        let between = appended(log.as_ref(), append(&reads(1), Expected::Any, payload(n))).await;
        assert_eq!(between.shard, log.shard_of(&stream));
    }
    let shard = log.shard_of(&stream);
    let all = shard_after(log.as_ref(), shard, 0, 50).await;
    assert_eq!(all.len(), 240);
    for limit in [1, 7, 119, 120, 121, 10_000, usize::MAX] {
        assert_same(&stream_after(log.as_ref(), &stream, 0, limit).await, &expected);
        assert_same(&shard_after(log.as_ref(), shard, 0, limit).await, &all);
    }
    for (n, record) in expected.iter().enumerate().step_by(13) {
        assert_same(
            &stream_after(log.as_ref(), &stream, record.sequence, 10).await,
            &expected[n + 1..],
        );
        // A sequence that is another stream's is as good a place to begin.
        assert_same(
            &stream_after(log.as_ref(), &stream, record.sequence + 1, 10).await,
            &expected[n + 1..],
        );
    }
    let end = log.end(shard).await.unwrap();
    for after in [end, end + 1, end + 1_000, u64::MAX >> 1] {
        assert_eq!(log.read(shard, after, 10).await.unwrap(), []);
        assert_eq!(log.read_stream(&stream, after, 10).await.unwrap(), []);
    }
    assert_eq!(log.read(shard, 0, 0).await.unwrap(), []);
}

/// A page is bounded in bytes, and what does not fit comes with the next.
pub async fn large_records_make_short_pages_and_no_holes<H: Home>() {
    const RECORDS: usize = 40;
    /// Beyond this a page would be a burden to whoever asked for many small records.
    const MOST_BYTES: usize = 8 * 1024 * 1024;
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    let mut expected = Vec::new();
    for n in 0..RECORDS {
        let payload = Bytes::from(vec![u8::try_from(n).unwrap(); MAX_COMMIT_BYTES]);
        expected.push(pushed(log.as_ref(), &stream, payload).await);
    }
    let size = |page: Vec<Record>| page.iter().map(|record| record.payload.len()).sum::<usize>();
    let shard = log.shard_of(&stream);
    assert!(size(log.read(shard, 0, RECORDS).await.unwrap()) <= MOST_BYTES);
    assert!(size(log.read_stream(&stream, 0, RECORDS).await.unwrap()) <= MOST_BYTES);
    assert_same(&shard_after(log.as_ref(), shard, 0, RECORDS).await, &expected);
    assert_same(&stream_after(log.as_ref(), &stream, 0, RECORDS).await, &expected);
}

/// What a reader has at any time is a beginning of what there is in the end.
pub async fn pages_that_are_read_while_others_append_have_no_holes<H: Home>() {
    const EACH: u64 = 150;
    let home = H::fresh().await;
    let log = home.open().await;
    let shard = log.shard_of(&conversation(1));
    let appending: Vec<_> = [conversation(1), reads(1)]
        .into_iter()
        .map(|stream| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                for n in 0..EACH {
                    appended(log.as_ref(), append(&stream, Expected::Any, payload(n))).await;
                }
            })
        })
        .collect();
    let mut seen: Vec<Record> = Vec::new();
    let mut of_stream: Vec<Record> = Vec::new();
    while seen.len() < 2 * EACH as usize {
        let after = seen.last().map_or(0, |record| record.sequence);
        seen.extend(shard_after(log.as_ref(), shard, after, 5).await);
        let after = of_stream.last().map_or(0, |record| record.sequence);
        of_stream.extend(stream_after(log.as_ref(), &conversation(1), after, 5).await);
    }
    for task in appending {
        task.await.unwrap();
    }
    assert_same(&seen, &shard_after(log.as_ref(), shard, 0, 1_000).await);
    let all = stream_of(log.as_ref(), &conversation(1)).await;
    assert_same(&of_stream, &all[..of_stream.len()]);
    assert_eq!(all.len() as u64, EACH);
}

/// A log that is opened again has its epoch, its records and its heads, and goes on from there.
pub async fn an_opened_log_is_the_same_log<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let (epoch, shards) = (log.epoch(), log.shards());
    for n in 0..30 {
        pushed(log.as_ref(), &conversation(n), payload(n)).await;
    }
    let mut expected = everything(log.as_ref()).await;
    drop(log);

    let log = home.open().await;
    assert_eq!((log.epoch(), log.shards()), (epoch, shards));
    assert_same(&everything(log.as_ref()).await, &expected);
    let stale = log
        .append(append(&conversation(3), Expected::Head(0), payload("stale")))
        .await;
    assert!(is_conflict(&stale), "heads are known again: {stale:?}");
    expected.push(pushed(log.as_ref(), &conversation(3), payload("more")).await);
    drop(log);

    let log = home.open().await;
    expected.sort_by_key(|record| (record.shard, record.sequence));
    assert_same(&everything(log.as_ref()).await, &expected);
    assert_eq!(log.epoch(), epoch);
}

/// Positions of one log mean nothing in another, and say so.
pub async fn a_new_log_has_another_epoch<H: Home>() {
    let (one, other) = (H::fresh().await, H::fresh().await);
    let (one, other) = (one.open().await, other.open().await);
    assert_ne!(one.epoch(), other.epoch());
    assert_ne!(one.position(0, 1), other.position(0, 1));
}
