//! Properties of appends: expectations, order, atomicity, streams that stay apart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use domain::{TenantId, UserId};
use futures::StreamExt;

use super::Home;
use super::fixture::{
    append, appended, assert_in_order, assert_same, at_once, conversation, everything, in_time, is_conflict,
    payload, pushed, reads, shard_after, stream_of, user,
};
use crate::log::{AppendError, Expected, MAX_COMMIT_BYTES, Record};
use crate::subject::Stream;

/// A log that was just made has at least one shard and no records.
pub async fn an_empty_log_has_nothing<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    assert!(log.shards() >= 1);
    for shard in 0..log.shards() {
        assert_eq!(log.end(shard).await.unwrap(), 0);
        assert_eq!(log.read(shard, 0, 10).await.unwrap(), []);
        assert_eq!(log.read(shard, 7, 10).await.unwrap(), []);
    }
    assert_eq!(log.head(&conversation(1)).await.unwrap(), 0);
    assert_eq!(log.read_stream(&conversation(1), 0, 10).await.unwrap(), []);
}

/// Records of all kinds of streams come back byte by byte, in their stream, in their shard, in order.
pub async fn what_was_appended_is_read_back<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let mut expected: BTreeMap<Stream, Vec<Record>> = BTreeMap::new();
    let payloads = [
        payload("đã gửi"),
        Bytes::from_static(b"{}"),
        Bytes::from_static(b"\"\r\n\0\xff not text {"),
        (0..=255).cycle().take(10_000).collect(),
    ];
    for (n, payload) in payloads.into_iter().cycle().take(40).enumerate() {
        for stream in [
            conversation(n as u64 % 5),
            reads(n as u64 % 5),
            user(&format!("user {}", n % 3)),
        ] {
            let record = pushed(log.as_ref(), &stream, payload.clone()).await;
            assert_eq!(log.head(&stream).await.unwrap(), record.sequence);
            expected.entry(stream).or_default().push(record);
        }
    }
    let mut shards: BTreeMap<u16, Vec<Record>> = BTreeMap::new();
    for (stream, records) in &expected {
        assert_same(&stream_of(log.as_ref(), stream).await, records);
        shards
            .entry(log.shard_of(stream))
            .or_default()
            .extend_from_slice(records);
    }
    for shard in 0..log.shards() {
        let mut records = shards.remove(&shard).unwrap_or_default();
        records.sort_by_key(|record| record.sequence);
        assert_same(&shard_after(log.as_ref(), shard, 0, 7).await, &records);
        let end = records.last().map_or(0, |record| record.sequence);
        assert_eq!(log.end(shard).await.unwrap(), end);
    }
}

/// An append that expects a head the stream does not have is a conflict and leaves no trace.
pub async fn an_append_that_expects_another_head_conflicts<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let (stream, neighbour) = (conversation(1), reads(1));
    let attempt = |expected| log.append(append(&stream, Expected::Head(expected), payload("never")));
    assert!(is_conflict(&attempt(1).await), "a head where there is none");

    let first = pushed(log.as_ref(), &stream, payload("first")).await;
    assert!(is_conflict(&attempt(0).await), "an empty stream that is not");
    // Heads are the stream's own, wherever its shard ends.
    let end = appended(log.as_ref(), append(&neighbour, Expected::Any, payload("else"))).await;
    assert!(
        is_conflict(&attempt(end.sequence).await),
        "the shard's end for the stream's head"
    );
    assert!(is_conflict(&attempt(end.sequence + 5).await), "a head to come");
    let second = pushed(log.as_ref(), &stream, payload("second")).await;
    assert!(is_conflict(&attempt(first.sequence).await), "a head that was");

    assert_same(&stream_of(log.as_ref(), &stream).await, &[first, second.clone()]);
    assert_eq!(log.end(second.shard).await.unwrap(), second.sequence);
}

/// Whoever appends at a head, one wins and the others know that they lost.
pub async fn of_concurrent_appends_at_one_head_exactly_one_wins<H: Home>() {
    const ROUNDS: usize = 15;
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        let head = log.head(&stream).await.unwrap();
        let outcomes = at_once(&log, 8, |log, n| {
            let append = append(&stream, Expected::Head(head), payload(format!("{round} by {n}")));
            let payload = append.payload.clone();
            async move { (log.append(append).await, payload) }
        })
        .await;
        let mut won = None;
        for (outcome, payload) in outcomes {
            match outcome {
                Ok(appended) => assert!(won.replace((appended.sequence, payload)).is_none(), "two winners"),
                Err(AppendError::Conflict) => {}
                Err(error) => panic!("neither won nor lost: {error}"),
            }
        }
        expected.push(won.expect("one wins"));
    }
    let found = stream_of(log.as_ref(), &stream).await;
    let found: Vec<_> = found
        .into_iter()
        .map(|record| (record.sequence, record.payload))
        .collect();
    assert_eq!(found, expected);
}

/// Many appenders, some in streams of their own and some in one they share: every acknowledged record is
/// there once, and what one appender sent stands in the order it was sent, in stream and shard.
pub async fn concurrent_appends_keep_the_order_they_were_acknowledged_in<H: Home>() {
    const APPENDERS: u64 = 12;
    const EACH: u64 = 40;
    let home = H::fresh().await;
    let log = home.open().await;
    let sent = at_once(&log, APPENDERS, |log, n| async move {
        let shared = reads(0);
        let own = conversation(n);
        let mut sent = Vec::new();
        for i in 0..EACH {
            let payload = payload(format!("{i} by {n}"));
            sent.push(if i % 2 == 0 {
                let head = sent
                    .iter()
                    .rev()
                    .find(|r: &&Record| r.stream == own)
                    .map_or(0, |r| r.sequence);
                appended(log.as_ref(), append(&own, Expected::Head(head), payload)).await
            } else {
                appended(log.as_ref(), append(&shared, Expected::Any, payload)).await
            });
        }
        sent
    })
    .await;
    let found = everything(log.as_ref()).await;
    for by_one in &sent {
        for shard in 0..log.shards() {
            let in_shard: Vec<_> = by_one.iter().filter(|r| r.shard == shard).cloned().collect();
            assert_in_order(&in_shard);
        }
    }
    let mut acknowledged: Vec<_> = sent.into_iter().flatten().collect();
    acknowledged.sort_by_key(|record| (record.shard, record.sequence));
    assert_same(&found, &acknowledged);
}

/// Who reads and follows while commits of many events arrive sees each of them whole.
pub async fn a_commit_is_there_whole_or_not_at_all<H: Home>() {
    const COMMITS: usize = 30;
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    // Every event of a commit is the same, so half a commit and a mixture of two both show.
    let commit = |n: usize| Bytes::from(format!(r#"{{"event":{n}}}"#).repeat(2_000 + n));
    let whole = |record: &Record| (0..COMMITS).any(|n| record.payload == commit(n));

    let appending = tokio::spawn({
        let (log, stream) = (Arc::clone(&log), stream.clone());
        async move {
            for n in 0..COMMITS {
                pushed(log.as_ref(), &stream, commit(n)).await;
            }
        }
    });
    let mut following = log.follow(log.shard_of(&stream), 0);
    let mut followed = 0;
    while followed < COMMITS {
        for record in in_time(following.next()).await.unwrap().unwrap() {
            assert!(whole(&record), "half a commit was followed");
            followed += 1;
        }
        assert!(
            stream_of(log.as_ref(), &stream).await.iter().all(whole),
            "half a commit was read"
        );
    }
    appending.await.unwrap();
    assert_eq!(stream_of(log.as_ref(), &stream).await.len(), COMMITS);
}

/// A commit may have as many bytes as the cap says and not one more.
pub async fn a_commit_over_the_cap_is_refused<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    let sized = |size| append(&stream, Expected::Head(0), Bytes::from(vec![b'x'; size]));
    let refused = log.append(sized(MAX_COMMIT_BYTES + 1)).await;
    assert!(
        matches!(refused, Err(AppendError::TooLarge { size }) if size == MAX_COMMIT_BYTES + 1),
        "{refused:?}"
    );
    assert_eq!(log.head(&stream).await.unwrap(), 0);
    let largest = appended(log.as_ref(), sized(MAX_COMMIT_BYTES)).await;
    assert_same(&stream_of(log.as_ref(), &stream).await, &[largest]);
}

/// An append without expectation that is repeated with its commit id is answered by the first one's
/// acknowledgement.
pub async fn a_repeated_commit_id_adds_no_second_record<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let once = append(&reads(1), Expected::Any, payload("once"));
    let first = appended(log.as_ref(), once.clone()).await;
    let between = appended(log.as_ref(), append(&reads(1), Expected::Any, payload("between"))).await;
    for _ in 0..3 {
        assert_eq!(log.append(once.clone()).await.unwrap().sequence, first.sequence);
    }
    assert_same(&stream_of(log.as_ref(), &reads(1)).await, &[first, between]);
}

/// The same commit id in another stream is another commit: an acknowledgement never stands for a record
/// that is elsewhere.
pub async fn a_commit_id_counts_within_its_stream<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let mut once = append(&reads(1), Expected::Any, payload("once"));
    let here = appended(log.as_ref(), once.clone()).await;
    once.stream = conversation(1);
    let there = appended(log.as_ref(), once).await;
    assert_eq!(here.shard, there.shard, "they share a shard");
    assert_same(&stream_of(log.as_ref(), &reads(1)).await, &[here]);
    assert_same(&stream_of(log.as_ref(), &conversation(1)).await, &[there]);
}

/// Ids that mean something in a subject, a path or a query reach their own stream and no other.
pub async fn ids_of_the_outside_stay_within_their_stream<H: Home>() {
    const IDS: [&str; 21] = [
        "a",
        "a.b",
        "a.*",
        "a.>",
        "*",
        ">",
        ".",
        "..",
        "a..b",
        " ",
        "a b",
        "đặng",
        "名前",
        "🙂",
        "%",
        "_",
        "=2A",
        "'; drop table commits; --",
        "\"",
        "../../log.db",
        "$JS.API.STREAM.INFO.x",
    ];
    let home = H::fresh().await;
    let log = home.open().await;
    let mut streams = BTreeSet::new();
    for tenant in IDS {
        for id in IDS {
            let tenant = TenantId::parse(tenant).unwrap();
            streams.insert(Stream::User(tenant, UserId::parse(id).unwrap()));
        }
    }
    let mut expected = Vec::new();
    for stream in &streams {
        let record = append(stream, Expected::Head(0), payload(stream));
        expected.push(appended(log.as_ref(), record).await);
    }
    for record in &expected {
        assert_same(
            &stream_of(log.as_ref(), &record.stream).await,
            std::slice::from_ref(record),
        );
        assert_eq!(log.head(&record.stream).await.unwrap(), record.sequence);
    }
    expected.sort_by_key(|record| (record.shard, record.sequence));
    assert_same(&everything(log.as_ref()).await, &expected);
}

/// Read marks neither move a conversation's head nor are read with it, though they share its shard.
pub async fn the_reads_lane_is_apart_from_its_conversation<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let first = pushed(log.as_ref(), &conversation(1), payload("sent")).await;
    let mut marks = Vec::new();
    for n in 0..5 {
        marks.push(appended(log.as_ref(), append(&reads(1), Expected::Any, payload(n))).await);
    }
    assert_eq!(log.head(&conversation(1)).await.unwrap(), first.sequence);
    let at_head = append(
        &conversation(1),
        Expected::Head(first.sequence),
        payload("sent again"),
    );
    let second = appended(log.as_ref(), at_head).await;
    assert_eq!(log.head(&reads(1)).await.unwrap(), marks[4].sequence);
    assert!(
        marks.iter().all(|mark| mark.shard == first.shard),
        "they share a shard"
    );
    assert_same(&stream_of(log.as_ref(), &reads(1)).await, &marks);
    assert_same(&stream_of(log.as_ref(), &conversation(1)).await, &[first, second]);
}

/// A record stands in the shard that its stream's partition names, and every partition has one.
pub async fn every_shard_owns_its_streams<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let mut expected = Vec::new();
    let mut partitions = BTreeSet::new();
    // Enough streams to meet nearly every partition.
    for n in 0..1_000 {
        if partitions.insert(conversation(n).partition()) {
            expected.push(pushed(log.as_ref(), &conversation(n), payload(n)).await);
        }
    }
    for record in &expected {
        assert_eq!(record.shard, record.stream.partition() % log.shards());
        assert_eq!(record.shard, log.shard_of(&record.stream));
    }
    let shards: BTreeSet<_> = expected.iter().map(|record| record.shard).collect();
    assert_eq!(shards, (0..log.shards()).collect(), "every shard has records");
    expected.sort_by_key(|record| (record.shard, record.sequence));
    assert_same(&everything(log.as_ref()).await, &expected);
}
