//! Properties of live feeds: once, in order, from where one began to listen, and no further verified than
//! was handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Home;
use super::fixture::{
    append, appended, assert_same, at_once, conversation, in_time, payload, pushed, stream_of,
};
use crate::live::{LiveFeed, LiveLog};
use crate::log::{EventLog, Expected, Record};
use crate::subject::Stream;

/// A place whose log can be listened to.
#[async_trait]
pub trait LiveHome: Home {
    /// The log that lives here, by both of its ports.
    async fn open_live(&self) -> (Arc<dyn EventLog>, Arc<dyn LiveLog>);
}

/// What a feed has handed out.
#[derive(Debug, Default)]
pub struct Heard {
    /// Each stream's records as they came.
    pub records: BTreeMap<Stream, Vec<Record>>,
    /// How far it was verified last.
    pub verified: u64,
}

impl Heard {
    /// Takes what is next.
    ///
    /// # Panics
    /// When `verified` decreases, or the feed fails.
    pub async fn next(&mut self, feed: &mut dyn LiveFeed) {
        let live = feed.next().await.unwrap();
        assert!(live.verified >= self.verified, "verified decreases");
        self.verified = live.verified;
        for record in live.records {
            self.records
                .entry(record.stream.clone())
                .or_default()
                .push(record);
        }
    }

    /// Takes what comes until it is verified up to this sequence.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn until_verified(&mut self, feed: &mut dyn LiveFeed, sequence: u64) {
        in_time(async {
            while self.verified < sequence {
                self.next(feed).await;
            }
        })
        .await;
    }

    /// Takes what comes until there are as many records.
    async fn until_records(&mut self, feed: &mut dyn LiveFeed, records: usize) {
        in_time(async {
            while self.records.values().map(Vec::len).sum::<usize>() < records {
                self.next(feed).await;
            }
        })
        .await;
    }

    fn of(&self, stream: &Stream) -> &[Record] {
        self.records.get(stream).map_or(&[], Vec::as_slice)
    }
}

/// Streams of the first shard.
fn streams(log: &dyn EventLog, count: usize) -> Vec<Stream> {
    (0..)
        .map(conversation)
        .filter(|stream| log.shard_of(stream) == 0)
        .take(count)
        .collect()
}

async fn any(log: &dyn EventLog, stream: &Stream, text: impl std::fmt::Display) -> Record {
    appended(log, append(stream, Expected::Any, payload(text))).await
}

/// Attends to the first shard until the token that is returned is dropped.
fn attended(live: &Arc<dyn LiveLog>) -> tokio_util::sync::DropGuard {
    let (live, until) = (Arc::clone(live), CancellationToken::new());
    let guard = until.clone().drop_guard();
    tokio::spawn(async move { live.attend(0, until).await });
    guard
}

/// A feed begins at the end, hands out what is appended to what it listens to, and nothing else.
pub async fn a_feed_hands_out_what_it_listens_to_and_nothing_else<H: LiveHome>() {
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let streams = streams(log.as_ref(), 3);
    let before = any(log.as_ref(), &streams[0], "before").await;
    let mut feed = live.live(0).await.unwrap();
    assert_eq!(feed.verified(), before.sequence);
    feed.listen(streams[..2].to_vec(), before.sequence).await.unwrap();
    let mut expected: BTreeMap<Stream, Vec<Record>> = BTreeMap::new();
    let mut last = 0;
    for n in 0..60 {
        let stream = &streams[n % 3];
        let record = pushed(log.as_ref(), stream, payload(n)).await;
        last = record.sequence;
        expected.entry(stream.clone()).or_default().push(record);
    }
    let mut heard = Heard::default();
    heard.until_verified(feed.as_mut(), last).await;
    assert_same(heard.of(&streams[0]), &expected[&streams[0]]);
    assert_same(heard.of(&streams[1]), &expected[&streams[1]]);
    assert_same(heard.of(&streams[2]), &[]);
}

/// Who listens late gets what it asks for from the past, and goes on without a hole.
pub async fn who_listens_late_gets_what_came_since<H: LiveHome>() {
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let mut feed = live.live(0).await.unwrap();
    let stream = streams(log.as_ref(), 1).remove(0);
    let other = streams(log.as_ref(), 2).remove(1);
    let mut records = Vec::new();
    for n in 0..30 {
        records.push(any(log.as_ref(), &stream, n).await);
        any(log.as_ref(), &other, n).await;
    }
    feed.listen(vec![stream.clone()], records[9].sequence)
        .await
        .unwrap();
    for n in 30..40 {
        records.push(any(log.as_ref(), &stream, n).await);
    }
    let mut heard = Heard::default();
    heard.until_verified(feed.as_mut(), records[39].sequence).await;
    assert_same(heard.of(&stream), &records[10..]);
    assert_same(heard.of(&other), &[]);
}

/// Listening while others append leaves no hole and nothing double, wherever it falls.
pub async fn who_begins_to_listen_while_others_append_misses_nothing<H: LiveHome>() {
    const RECORDS: usize = 200;
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let _attended = attended(&live);
    let mut feed = live.live(0).await.unwrap();
    let streams = streams(log.as_ref(), 24);
    let appending = tokio::spawn({
        let (log, streams) = (Arc::clone(&log), streams.clone());
        async move {
            let mut last = 0;
            for n in 0..RECORDS {
                for lane in streams.chunks(8) {
                    last = any(log.as_ref(), &lane[n % 8], n).await.sequence;
                }
            }
            last
        }
    });
    let mut heard = Heard::default();
    for stream in &streams {
        feed.listen(vec![stream.clone()], 0).await.unwrap();
        heard.next(feed.as_mut()).await;
    }
    let last = in_time(appending).await.unwrap();
    heard.until_verified(feed.as_mut(), last).await;
    for stream in &streams {
        assert_same(heard.of(stream), &stream_of(log.as_ref(), stream).await);
    }
}

/// Listening to what is listened to already changes nothing.
pub async fn listening_twice_changes_nothing<H: LiveHome>() {
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let mut feed = live.live(0).await.unwrap();
    let stream = streams(log.as_ref(), 1).remove(0);
    let mut records = vec![any(log.as_ref(), &stream, "first").await];
    feed.listen(vec![stream.clone(), stream.clone()], 0)
        .await
        .unwrap();
    records.push(any(log.as_ref(), &stream, "second").await);
    feed.listen(vec![stream.clone()], 0).await.unwrap();
    let mut heard = Heard::default();
    heard.until_records(feed.as_mut(), 2).await;
    feed.listen(vec![stream.clone()], 0).await.unwrap();
    records.push(any(log.as_ref(), &stream, "third").await);
    heard.until_verified(feed.as_mut(), records[2].sequence).await;
    assert_same(heard.of(&stream), &records);
}

/// What is not listened to any more does not come; listened to again, it comes from where that says.
pub async fn what_was_left_can_be_listened_to_again<H: LiveHome>() {
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let mut feed = live.live(0).await.unwrap();
    let streams = streams(log.as_ref(), 2);
    feed.listen(streams.clone(), 0).await.unwrap();
    let first = any(log.as_ref(), &streams[0], "first").await;
    let mut heard = Heard::default();
    heard.until_records(feed.as_mut(), 1).await;
    feed.unlisten(&streams[..1]);
    feed.unlisten(&streams[..1]);
    let unheard = any(log.as_ref(), &streams[0], "unheard").await;
    let kept = any(log.as_ref(), &streams[1], "kept").await;
    heard.until_verified(feed.as_mut(), kept.sequence).await;
    assert_same(heard.of(&streams[0]), std::slice::from_ref(&first));
    assert_same(heard.of(&streams[1]), &[kept]);
    feed.listen(streams[..1].to_vec(), first.sequence).await.unwrap();
    let again = any(log.as_ref(), &streams[0], "again").await;
    heard.until_verified(feed.as_mut(), again.sequence).await;
    assert_same(heard.of(&streams[0]), &[first, unheard, again]);
}

/// A thousand streams are listened to at once, and quickly.
pub async fn a_thousand_streams_are_listened_to_at_once<H: LiveHome>() {
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let _attended = attended(&live);
    let mut feed = live.live(0).await.unwrap();
    let streams = streams(log.as_ref(), 1_000);
    let append_each = |part: &'static str| {
        let streams = streams.clone();
        at_once(&log, 8, move |log, n| {
            let streams: Vec<_> = streams
                .iter()
                .skip(usize::try_from(n).unwrap())
                .step_by(8)
                .cloned()
                .collect();
            async move {
                let mut last = 0;
                for stream in streams {
                    last = any(log.as_ref(), &stream, part).await.sequence;
                }
                last
            }
        })
    };
    append_each("before").await;
    timeout(Duration::from_secs(5), feed.listen(streams.clone(), 0))
        .await
        .expect("it is quick")
        .unwrap();
    let last = append_each("after").await.into_iter().max().unwrap();
    let mut heard = Heard::default();
    heard.until_verified(feed.as_mut(), last).await;
    for stream in &streams {
        assert_same(heard.of(stream), &stream_of(log.as_ref(), stream).await);
    }
    feed.unlisten(&streams[1..]);
    let last = any(log.as_ref(), &streams[0], "last").await;
    heard.until_verified(feed.as_mut(), last.sequence).await;
    assert_eq!(heard.of(&streams[0]).len(), 3);
}

/// What is not listened to moves `verified` all the same, with someone who attends and without.
pub async fn verified_advances_without_records<H: LiveHome>() {
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let mut feed = live.live(0).await.unwrap();
    let streams = streams(log.as_ref(), 2);
    feed.listen(streams[..1].to_vec(), 0).await.unwrap();
    let mut heard = Heard::default();
    let unheard = any(log.as_ref(), &streams[1], "unheard").await;
    heard.until_verified(feed.as_mut(), unheard.sequence).await;
    let _attended = attended(&live);
    for n in 0..5 {
        let unheard = any(log.as_ref(), &streams[1], n).await;
        heard.until_verified(feed.as_mut(), unheard.sequence).await;
    }
    assert!(heard.records.is_empty());
}

/// Several tasks append at once, also through another opening of the log: every feed has all, in order.
pub async fn feeds_hear_what_several_append_at_once<H: LiveHome>() {
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let _attended = attended(&live);
    let mine = streams(log.as_ref(), 5);
    let mut feeds = Vec::new();
    for _ in 0..2 {
        let mut feed = live.live(0).await.unwrap();
        feed.listen(mine.clone(), 0).await.unwrap();
        feeds.push(feed);
    }
    let appending = at_once(&log, 8, |log, n| async move {
        let mine = streams(log.as_ref(), 5);
        let mut last = 0;
        for i in 0..50 {
            last = any(
                log.as_ref(),
                &mine[(i + usize::try_from(n).unwrap()) % 5],
                format!("{n}.{i}"),
            )
            .await
            .sequence;
        }
        last
    });
    let mut heard = Heard::default();
    // Waits that are given up again and again lose nothing.
    let last = tokio::select! {
        last = appending => last.into_iter().max().unwrap(),
        () = async { loop {
            let _ = timeout(Duration::from_micros(300), heard.next(feeds[0].as_mut())).await;
        } } => unreachable!("it goes on"),
    };
    let mut others = Heard::default();
    heard.until_verified(feeds[0].as_mut(), last).await;
    others.until_verified(feeds[1].as_mut(), last).await;
    for stream in &mine {
        let expected = stream_of(log.as_ref(), stream).await;
        assert_same(heard.of(stream), &expected);
        assert_same(others.of(stream), &expected);
    }
}

/// A feed that was dropped leaves nothing behind, and another one takes its place.
pub async fn a_feed_that_was_dropped_is_replaced<H: LiveHome>() {
    let home = H::fresh().await;
    let (log, live) = home.open_live().await;
    let stream = streams(log.as_ref(), 1).remove(0);
    let (mut since, mut all) = (0, BTreeSet::new());
    for round in 0..5 {
        let mut feed = live.live(0).await.unwrap();
        feed.listen(vec![stream.clone()], since).await.unwrap();
        let last = any(log.as_ref(), &stream, round).await;
        let mut heard = Heard::default();
        heard.until_verified(feed.as_mut(), last.sequence).await;
        for record in heard.of(&stream) {
            assert!(all.insert(record.sequence), "it came before");
        }
        since = heard.verified;
        drop(feed);
        any(log.as_ref(), &stream, format!("between {round}")).await;
    }
    assert_eq!(all.len(), 9);
}
