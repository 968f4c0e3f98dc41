//! What only subscriptions can get wrong: links that break, messages that are lost, nonsense.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{NATS_LAST_SEQUENCE, NATS_SEQUENCE};
use bytes::Bytes;
use domain::{CommitId, ConversationId, TenantId};
use rand::RngExt;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::DropGuard;
use ulid::Ulid;

use super::*;
use crate::contract::live::Heard;
use crate::contract::nats::NatsServer;
use crate::contract::proxy::{Link as Wire, Proxy};
use crate::jetstream::{JetStreamConfig, connect_options};
use crate::log::{Append, Epoch, EventLog, Expected};

/// How soon after the link is back everything is there.
const DUE: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(60);

async fn open(client: async_nats::Client) -> JetStreamLog {
    let config = JetStreamConfig {
        shards: 1,
        ..JetStreamConfig::new(client, "test")
    };
    JetStreamLog::open(config).await.unwrap()
}

fn conversation(n: u64) -> Stream {
    let tenant = TenantId::parse("acme").unwrap();
    Stream::Conversation(tenant, ConversationId::from_bytes(u128::from(n).to_be_bytes()))
}

async fn append(log: &JetStreamLog, stream: &Stream) -> u64 {
    let append = Append {
        stream: stream.clone(),
        expected: Expected::Any,
        commit_id: CommitId::from(Ulid::generate()),
        payload: Bytes::from_static(b"{}"),
    };
    log.append(append).await.unwrap().sequence
}

fn attend(log: &JetStreamLog) -> DropGuard {
    let (log, until) = (log.clone(), CancellationToken::new());
    let guard = until.clone().drop_guard();
    tokio::spawn(async move { log.attend(0, until).await });
    guard
}

/// Takes what comes until this is the newest record of the stream.
async fn until_newest(heard: &mut Heard, feed: &mut dyn LiveFeed, stream: &Stream, sequence: u64) {
    let newest = |heard: &Heard| {
        heard
            .records
            .get(stream)
            .and_then(|all| all.last())
            .map(|last| last.sequence)
    };
    while newest(heard) != Some(sequence) {
        heard.next(feed).await;
    }
}

/// Each stream was heard as it is in the log.
async fn assert_heard(heard: &Heard, log: &JetStreamLog, streams: &[Stream]) {
    for stream in streams {
        let (mut there, mut after) = (Vec::new(), 0);
        loop {
            let page = log.read_stream(stream, after, 1_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.sequence;
            there.extend(page.into_iter().map(|record| record.sequence));
        }
        let heard: Vec<_> = heard
            .records
            .get(stream)
            .into_iter()
            .flatten()
            .map(|r| r.sequence)
            .collect();
        assert_eq!(heard, there, "{stream}");
    }
}

/// Appends to the streams for a while, directly at the server.
fn appending(log: &JetStreamLog, streams: &[Stream], so_long: Duration) -> JoinHandle<()> {
    let (log, streams) = (log.clone(), streams.to_vec());
    tokio::spawn(async move {
        let all = async {
            for n in 0.. {
                append(&log, &streams[n % streams.len()]).await;
                if n % 7 == 0 {
                    // Some apart, some close together.
                    let pause = Duration::from_millis(rand::rng().random_range(0..8));
                    sleep(pause).await;
                }
            }
        };
        let _ = timeout(so_long, all).await;
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_behind_a_link_that_breaks_hears_everything_once() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(&server.url()).await;
    let writer = open(server.client().await).await;
    let far = open(connect_options().connect(proxy.url()).await.unwrap()).await;
    let _attended = attend(&writer);
    // Some of them alone in their partition, and some beside so many that it is taken whole.
    let crowded: Vec<_> = (0..)
        .map(conversation)
        .filter(|stream| stream.partition() == 7)
        .take(12)
        .collect();
    let streams: Vec<_> = (0..8).map(conversation).chain(crowded).collect();
    let mut feed = far.live(0).await.unwrap();
    feed.listen(streams.clone(), 0).await.unwrap();
    let mut heard = Heard::default();

    let writing = appending(&writer, &streams, Duration::from_secs(20));
    let breaking = async {
        while !writing.is_finished() {
            let pause = |most| Duration::from_millis(rand::rng().random_range(10..most));
            match rand::rng().random_range(0..4) {
                0 => proxy.cut(),
                1 => proxy.set(Wire::Stalled),
                2 => proxy.set(Wire::Swallowing),
                _ => proxy.set(Wire::Refused),
            }
            sleep(pause(900)).await;
            proxy.set(Wire::Up);
            sleep(pause(600)).await;
        }
    };
    tokio::select! {
        () = breaking => {}
        () = async { loop { heard.next(feed.as_mut()).await } } => unreachable!("it goes on"),
    }
    let end = writer.end(0).await.unwrap();
    timeout(DEADLINE, heard.until_verified(feed.as_mut(), end))
        .await
        .unwrap();
    assert_heard(&heard, &writer, &streams).await;
}

/// The last message of a stream falls into a break of this kind, with nothing after it.
async fn the_last_message_is_due_when_the_link_is_back(attended: bool) {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(&server.url()).await;
    let writer = open(server.client().await).await;
    let far = open(connect_options().connect(proxy.url()).await.unwrap()).await;
    let _attended = attended.then(|| attend(&writer));
    let stream = conversation(1);
    let mut feed = far.live(0).await.unwrap();
    feed.listen(vec![stream.clone()], 0).await.unwrap();
    let mut heard = Heard::default();
    for wire in [Wire::Refused, Wire::Stalled, Wire::Swallowing, Wire::Refused] {
        let first = append(&writer, &stream).await;
        timeout(DEADLINE, until_newest(&mut heard, feed.as_mut(), &stream, first))
            .await
            .unwrap();
        proxy.set(wire);
        let last = append(&writer, &stream).await;
        let away = async {
            loop {
                heard.next(feed.as_mut()).await
            }
        };
        assert!(timeout(Duration::from_millis(1_700), away).await.is_err());
        proxy.set(Wire::Up);
        timeout(DUE, until_newest(&mut heard, feed.as_mut(), &stream, last))
            .await
            .unwrap_or_else(|_| panic!("late after the link was {wire:?}"));
    }
    assert_heard(&heard, &writer, &[stream]).await;
    assert_eq!(*feed.health().borrow(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_message_that_falls_into_a_break_is_due_when_the_link_is_back() {
    the_last_message_is_due_when_the_link_is_back(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_due_even_when_nobody_publishes_digests() {
    the_last_message_is_due_when_the_link_is_back(false).await;
}

/// Subscriptions that hold three messages lose most of what comes in a burst, and no connection tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_without_a_trace_is_noticed() {
    let server = NatsServer::start().await;
    let writer = open(server.client().await).await;
    let narrow = connect_options()
        .subscription_capacity(3)
        .connect(server.url())
        .await
        .unwrap();
    let far = open(narrow).await;
    let _attended = attend(&writer);
    let streams: Vec<_> = (0..20).map(conversation).collect();
    let mut feed = far.live(0).await.unwrap();
    feed.listen(streams.clone(), 0).await.unwrap();
    let mut heard = Heard::default();
    for _ in 0..4 {
        // Nobody listens meanwhile.
        let mut end = 0;
        for _ in 0..12 {
            for stream in &streams {
                end = append(&writer, stream).await;
            }
        }
        timeout(DEADLINE, heard.until_verified(feed.as_mut(), end))
            .await
            .unwrap();
    }
    assert_heard(&heard, &writer, &streams).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_on_the_subjects_is_passed_over() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = open(client.clone()).await;
    let stream = conversation(1);
    let mut feed = log.live(0).await.unwrap();
    feed.listen(vec![stream.clone()], 0).await.unwrap();
    let live = format!("test.{}", stream.live_subject());
    let foreign = Digest {
        epoch: Epoch::draw(),
        from: 0,
        to: 1 << 40,
        changed: vec![(stream.subject(), 1 << 40)],
    };
    let backwards = Digest {
        epoch: log.epoch(),
        from: 1 << 40,
        to: 7,
        changed: Vec::new(),
    };
    let claimed = Digest {
        epoch: log.epoch(),
        from: 1 << 40,
        to: 1 << 41,
        changed: vec![("evt.0.nobody".to_owned(), 3), (stream.subject(), 1 << 41)],
    };
    for digest in [&foreign, &backwards, &claimed] {
        client
            .publish("test.digest.0", serde_json::to_vec(digest).unwrap().into())
            .await
            .unwrap();
    }
    for text in ["", "{", "[]", "\u{1}", r#"{"epoch":1,"from":-1}"#] {
        client.publish("test.digest.0", text.into()).await.unwrap();
        client.publish(live.clone(), text.into()).await.unwrap();
        client
            .publish("test.live.0.acme.conv.x", text.into())
            .await
            .unwrap();
    }
    for (sequence, previous) in [("x", "y"), ("-1", "0"), ("18446744073709551615", "0"), ("5", "")] {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_SEQUENCE, sequence);
        headers.insert(NATS_LAST_SEQUENCE, previous);
        client
            .publish_with_headers(live.clone(), headers, "".into())
            .await
            .unwrap();
    }
    let mut heard = Heard::default();
    for _ in 0..10 {
        append(&log, &stream).await;
    }
    timeout(DEADLINE, heard.until_verified(feed.as_mut(), 10))
        .await
        .unwrap();
    assert_eq!(heard.verified, 10);
    assert_heard(&heard, &log, &[stream]).await;
}

/// A stream that is said to have more than it has is looked for in vain, and then no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_not_in_the_log_are_not_waited_for() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = open(client.clone()).await;
    let stream = conversation(1);
    let mut feed = log.live(0).await.unwrap();
    feed.listen(vec![stream.clone()], 0).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(NATS_STREAM, "test-evt-0");
    headers.insert(NATS_SEQUENCE, "900");
    headers.insert(NATS_LAST_SEQUENCE, "899");
    client
        .publish_with_headers(format!("test.{}", stream.live_subject()), headers, "".into())
        .await
        .unwrap();
    let end = append(&log, &stream).await;
    let mut heard = Heard::default();
    timeout(DEADLINE, until_newest(&mut heard, feed.as_mut(), &stream, end))
        .await
        .unwrap();
    let mut health = feed.health();
    let well = async {
        tokio::select! {
            well = health.wait_for(Option::is_none) => drop(well.unwrap()),
            () = async { loop { heard.next(feed.as_mut()).await } } => {}
        }
    };
    timeout(DEADLINE, well).await.unwrap();
    assert_heard(&heard, &log, &[stream]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_made_anew_ends_a_feed() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = open(client.clone()).await;
    let mut feed = log.live(0).await.unwrap();
    let context = async_nats::jetstream::new(client.clone());
    context.delete_stream("test-evt-0").await.unwrap();
    let _anew = open(client).await;
    let failed = async {
        loop {
            if let Err(error) = feed.next().await {
                return error;
            }
        }
    };
    let failed = timeout(DEADLINE, failed).await.unwrap();
    assert!(matches!(failed, ReadError::Damaged { .. }), "{failed}");
}

/// Digests number themselves, name what changed, and stay small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_follow_on_each_other_and_stay_small() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = Arc::new(open(client.clone()).await);
    let mut digests = client.subscribe("test.digest.0").await.unwrap();
    let _attended = attend(&log);
    let first = timeout(DEADLINE, digests.next()).await.unwrap().unwrap();
    let mut at = serde_json::from_slice::<Digest>(&first.payload).unwrap().to;
    let mut changed = HashMap::new();
    let appending = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            let many = (0..3_000).map(|n| {
                let log = Arc::clone(&log);
                async move { append(&log, &conversation(n)).await }
            });
            futures::stream::iter(many).buffer_unordered(200).count().await
        }
    });
    while changed.len() < 3_000 {
        let message = timeout(DEADLINE, digests.next()).await.unwrap().unwrap();
        assert!(message.payload.len() < 64 * 1024);
        let digest: Digest = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(digest.from, at, "it follows on the one before");
        assert!(
            digest
                .changed
                .iter()
                .all(|(_, newest)| (digest.from + 1..=digest.to).contains(newest))
        );
        assert_eq!(digest.changed.len() as u64, digest.to - digest.from);
        at = digest.to;
        changed.extend(digest.changed);
    }
    assert_eq!(appending.await.unwrap(), 3_000);
    for (subject, newest) in changed {
        assert_eq!(log.head(&Stream::parse(&subject).unwrap()).await.unwrap(), newest);
    }
}
