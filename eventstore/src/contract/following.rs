//! Properties of followers: every record once, in order, from anywhere, whatever happens meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::Home;
use super::fixture::{
    append, appended, assert_in_order, assert_same, conversation, in_time, payload, pushed, reads,
    shard_after, take,
};
use crate::log::{EventLog, Expected, MAX_COMMIT_BYTES, Record};

/// A follower from the beginning gets what there is, waits, and gets what comes, one by one too.
pub async fn a_follower_gets_all_there_is_and_what_comes<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    let shard = log.shard_of(&stream);
    let mut following = log.follow(shard, 0);
    let mut expected = Vec::new();
    // It was there before the first record.
    for n in 0..5 {
        expected.push(pushed(log.as_ref(), &stream, payload(n)).await);
        assert_same(&take(&mut following, 1).await, &expected[n..]);
    }
    // It looks away, and then has much to catch up with.
    for n in 5..300 {
        expected.push(appended(log.as_ref(), append(&stream, Expected::Any, payload(n))).await);
    }
    assert_same(&take(&mut following, 295).await, &expected[5..]);
    // It comes late.
    assert_same(&take(&mut log.follow(shard, 0), 300).await, &expected);
}

/// A follower that begins after a record gets the next one first.
pub async fn a_follower_begins_in_the_middle<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    let shard = log.shard_of(&stream);
    let mut expected = Vec::new();
    for n in 0..60 {
        expected.push(appended(log.as_ref(), append(&stream, Expected::Any, payload(n))).await);
    }
    for n in [0, 1, 30, 58] {
        let mut following = log.follow(shard, expected[n].sequence);
        assert_same(&take(&mut following, 59 - n).await, &expected[n + 1..]);
    }
    // After the newest there is nothing yet.
    let mut following = log.follow(shard, expected[59].sequence);
    let waiting = tokio::spawn(async move { take(&mut following, 1).await });
    tokio::task::yield_now().await;
    let next = pushed(log.as_ref(), &stream, payload("next")).await;
    assert_same(&in_time(waiting).await.unwrap(), &[next]);
}

/// A follower that is cut again and again while others append, and resumed each time after the last
/// record that came, has everything once.
pub async fn a_follower_that_was_cut_resumes_where_it_ended<H: Home>() {
    const RECORDS: usize = 600;
    let home = H::fresh().await;
    let log = home.open().await;
    let shard = log.shard_of(&conversation(1));
    let appending = append_meanwhile(&log, RECORDS);
    let mut seen: Vec<Record> = Vec::new();
    let mut lengths = [1, 2, 90, 5, 40, 1, 200, 13].into_iter().cycle();
    while seen.len() < RECORDS {
        let after = seen.last().map_or(0, |record| record.sequence);
        let mut following = log.follow(shard, after);
        let wanted = lengths.next().unwrap_or(1).min(RECORDS - seen.len());
        seen.extend(take(&mut following, wanted).await);
    }
    in_time(appending).await.unwrap();
    assert_in_order(&seen);
    assert_same(&seen, &shard_after(log.as_ref(), shard, 0, 1_000).await);
}

/// Followers of one shard each get everything, however slow the others are.
pub async fn followers_do_not_disturb_each_other<H: Home>() {
    const RECORDS: usize = 300;
    let home = H::fresh().await;
    let log = home.open().await;
    let shard = log.shard_of(&conversation(1));
    let mut idle = log.follow(shard, 0);
    let following: Vec<_> = (0..4)
        .map(|_| {
            let mut following = log.follow(shard, 0);
            tokio::spawn(async move { take(&mut following, RECORDS).await })
        })
        .collect();
    in_time(append_meanwhile(&log, RECORDS)).await.unwrap();
    let expected = shard_after(log.as_ref(), shard, 0, 1_000).await;
    for follower in following {
        assert_same(&in_time(follower).await.unwrap(), &expected);
    }
    assert_same(&take(&mut idle, RECORDS).await, &expected);
}

/// Records of the largest size come through a follower like any others.
pub async fn a_follower_gets_large_records_one_after_another<H: Home>() {
    let home = H::fresh().await;
    let log = home.open().await;
    let stream = conversation(1);
    let mut expected = Vec::new();
    for n in 0..40 {
        let size = if n % 4 == 0 { 10 } else { MAX_COMMIT_BYTES };
        expected.push(pushed(log.as_ref(), &stream, Bytes::from(vec![n; size])).await);
    }
    let mut following = log.follow(log.shard_of(&stream), 0);
    assert_same(&take(&mut following, 40).await, &expected);
    let last = pushed(log.as_ref(), &stream, Bytes::from(vec![b'!'; MAX_COMMIT_BYTES])).await;
    assert_same(&take(&mut following, 1).await, &[last]);
}

/// Two appenders to one shard, so many records together.
fn append_meanwhile(log: &Arc<dyn EventLog>, records: usize) -> JoinHandle<()> {
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let half = |stream, count| {
            let log = Arc::clone(&log);
            async move {
                for n in 0..count {
                    appended(log.as_ref(), append(&stream, Expected::Any, payload(n))).await;
                }
            }
        };
        tokio::join!(
            half(conversation(1), records / 2),
            half(reads(1), records - records / 2)
        );
    })
}
