//! What the contract cannot say of all logs: servers, shards that are not as they should be, crashes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::header::{NATS_LAST_SEQUENCE, NATS_SEQUENCE};
use async_nats::jetstream::stream::Config;
use async_nats::{Client, jetstream};
use bytes::Bytes;
use domain::{CommitId, ConversationId, TenantId};
use futures::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;
use ulid::Ulid;

use super::*;
use crate::contract::nats::NatsServer;
use crate::log::Expected;
use crate::namespace::NamespaceError;

const NAMESPACE: &str = "test";
const DEADLINE: Duration = Duration::from_secs(60);

async fn open(client: &Client, shards: u16) -> Result<JetStreamLog, OpenError> {
    JetStreamLog::open(JetStreamConfig {
        shards,
        ..JetStreamConfig::new(client.clone(), NAMESPACE)
    })
    .await
}

/// How [`open`] makes its shards.
fn shape_of(shards: u16) -> shape::Shape {
    shape::Shape {
        namespace: NAMESPACE.to_owned(),
        shards,
        replicas: 1,
    }
}

fn conversation(n: u128) -> Stream {
    Stream::Conversation(
        TenantId::parse("acme").unwrap(),
        ConversationId::from_bytes(n.to_be_bytes()),
    )
}

fn append(stream: &Stream, payload: impl Into<Bytes>) -> Append {
    Append {
        stream: stream.clone(),
        expected: Expected::Any,
        commit_id: CommitId::from(Ulid::generate()),
        payload: payload.into(),
    }
}

async fn next(
    following: &mut BoxStream<'static, Result<Vec<Record>, ReadError>>,
) -> Result<Vec<Record>, ReadError> {
    timeout(DEADLINE, following.next())
        .await
        .expect("a follower goes on")
        .expect("a follower goes on")
}

/// A server that says this of itself and nothing else.
async fn server_that_says(version: &str, max_payload: usize) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let info = format!(
        r#"INFO {{"server_id":"S","server_name":"S","host":"127.0.0.1","port":{},"version":"{version}","go":"","headers":true,"proto":1,"max_payload":{max_payload},"client_id":1}}"#,
        address.port()
    );
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (reader, mut writer) = socket.split();
            writer.write_all(format!("{info}\r\n").as_bytes()).await.unwrap();
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("PING") {
                    writer.write_all(b"PONG\r\n").await.unwrap();
                }
            }
        }
    });
    async_nats::connect(format!("nats://{address}")).await.unwrap()
}

#[tokio::test]
async fn servers_that_would_ignore_what_the_log_asks_are_refused() {
    let client = server_that_says("2.11.9", 1024 * 1024).await;
    assert_eq!(
        open(&client, 1).await.unwrap_err(),
        OpenError::ServerTooOld("2.11.9".to_owned())
    );
    let client = server_that_says("2.12.0", 256 * 1024).await;
    assert_eq!(
        open(&client, 1).await.unwrap_err(),
        OpenError::MaxPayload(256 * 1024)
    );
}

#[tokio::test]
async fn names_and_numbers_that_make_no_log_are_refused() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let opened = JetStreamLog::open(JetStreamConfig::new(client.clone(), "a.b")).await;
    let named = NamespaceError("a.b".to_owned());
    assert_eq!(opened.unwrap_err(), OpenError::Namespace(named));
    for shards in [0, 257] {
        assert_eq!(
            open(&client, shards).await.unwrap_err(),
            OpenError::Shards(shards)
        );
    }
    // A single server keeps no copies.
    let config = JetStreamConfig {
        replicas: 3,
        ..JetStreamConfig::new(client, NAMESPACE)
    };
    assert!(matches!(
        JetStreamLog::open(config).await,
        Err(OpenError::Refused { .. })
    ));
}

#[tokio::test]
async fn nodes_that_open_a_new_log_at_once_make_one_log() {
    let server = NatsServer::start().await;
    let nodes = (0..8).map(|_| async { open(&server.client().await, 16).await.unwrap() });
    let logs = futures::future::join_all(nodes).await;
    assert!(logs.iter().all(|log| log.epoch() == logs[0].epoch()));
    assert_eq!(
        open(&server.client().await, 16).await.unwrap().epoch(),
        logs[0].epoch()
    );
}

#[tokio::test]
async fn a_shard_that_is_configured_otherwise_is_refused_by_what_differs() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    open(&client, 2).await.unwrap();
    let differences = |error| match error {
        OpenError::Differs { stream, differences } => format!("{stream}: {differences}"),
        error => panic!("{error}"),
    };
    let refused = differences(open(&client, 4).await.unwrap_err());
    assert_eq!(refused, "test-evt-0: verbatim.shards is 2, not 4");

    let context = jetstream::new(client.clone());
    let change = async |change: fn(&mut Config)| {
        let mut config = context
            .get_stream("test-evt-1")
            .await
            .unwrap()
            .cached_info()
            .config
            .clone();
        change(&mut config);
        context.update_stream(config).await.unwrap();
    };
    // What operators may write on it.
    change(|config| config.description = Some("the log of acme".to_owned())).await;
    open(&client, 2).await.unwrap();
    change(|config| {
        config.max_age = Duration::from_secs(3600);
        config.allow_direct = false;
        config.subjects.push("test.other".to_owned());
    })
    .await;
    let refused = differences(open(&client, 2).await.unwrap_err());
    assert_eq!(
        refused,
        "test-evt-1: allow_direct is unset, not true; max_age is 3600000000000, not 0; \
         subjects is a list of 129, not a list of 128"
    );
}

#[tokio::test]
async fn streams_that_are_not_this_log_are_refused() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let context = jetstream::new(client.clone());
    let foreign = Config {
        name: "test-evt-1".to_owned(),
        subjects: vec!["orders".to_owned()],
        ..Config::default()
    };
    context.create_stream(foreign).await.unwrap();
    assert_eq!(
        open(&client, 2).await.unwrap_err(),
        OpenError::Foreign("test-evt-1".to_owned())
    );
    context.delete_stream("test-evt-1").await.unwrap();

    // A shard that was restored from the backup of another incarnation.
    let log = open(&client, 2).await.unwrap();
    context.delete_stream("test-evt-1").await.unwrap();
    let epoch = Epoch::draw();
    context.create_stream(shape_of(2).config(1, epoch)).await.unwrap();
    assert_eq!(
        open(&client, 2).await.unwrap_err(),
        OpenError::Epochs {
            stream: "test-evt-1".to_owned(),
            epoch,
            log: log.epoch()
        }
    );
}

#[tokio::test]
async fn a_shard_that_was_lost_is_not_made_again() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let context = jetstream::new(client.clone());
    let epoch = open(&client, 3).await.unwrap().epoch();
    // Without its last shard a log without records is one in the making.
    context.delete_stream("test-evt-2").await.unwrap();
    let log = open(&client, 3).await.unwrap();
    assert_eq!(log.epoch(), epoch);

    let of_first = (0..)
        .map(conversation)
        .find(|stream| log.shard_of(stream) == 0)
        .unwrap();
    log.append(append(&of_first, "{}")).await.unwrap();
    context.delete_stream("test-evt-2").await.unwrap();
    assert_eq!(
        open(&client, 3).await.unwrap_err(),
        OpenError::Lost("test-evt-2".to_owned())
    );
    context.create_stream(shape_of(3).config(2, epoch)).await.unwrap();
    context.delete_stream("test-evt-0").await.unwrap();
    assert_eq!(
        open(&client, 3).await.unwrap_err(),
        OpenError::Lost("test-evt-0".to_owned())
    );
}

#[tokio::test]
async fn stored_commits_are_republished_with_their_chain() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = open(&client, 1).await.unwrap();
    let mut live = client.subscribe("test.live.>").await.unwrap();
    client.flush().await.unwrap();
    let stream = conversation(1);
    let first = log.append(append(&stream, "one")).await.unwrap();
    log.append(append(&conversation(2), "else")).await.unwrap();
    let second = log.append(append(&stream, "two")).await.unwrap();

    let subject = stream.subject().replacen("evt.", "test.live.", 1);
    for (sequence, previous, payload) in [(first, 0, "one"), (second, first.sequence, "two")] {
        let message = loop {
            let message = timeout(DEADLINE, live.next()).await.unwrap().unwrap();
            if message.subject.as_str() == subject {
                break message;
            }
        };
        let headers = message.headers.unwrap();
        assert_eq!(
            headers.get(NATS_SEQUENCE).unwrap().as_str(),
            sequence.sequence.to_string()
        );
        assert_eq!(
            headers.get(NATS_LAST_SEQUENCE).unwrap().as_str(),
            previous.to_string()
        );
        assert_eq!(message.payload, payload);
    }
}

#[tokio::test]
async fn what_is_not_a_record_stops_reading_and_following_where_it_stands() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = open(&client, 1).await.unwrap();
    log.append(append(&conversation(1), "good")).await.unwrap();
    client
        .request("test.evt.0.acme.conv.nonsense", "bad".into())
        .await
        .unwrap();
    log.append(append(&conversation(1), "good again")).await.unwrap();

    assert_eq!(log.read(0, 0, 10).await.unwrap().len(), 1);
    let damaged = |result| matches!(result, Err(ReadError::Damaged { sequence: 2, .. }));
    assert!(damaged(log.read(0, 1, 10).await));
    assert_eq!(log.read(0, 2, 10).await.unwrap().len(), 1);
    let mut following = log.follow(0, 0);
    assert_eq!(next(&mut following).await.unwrap().len(), 1);
    assert!(damaged(next(&mut following).await));
    assert!(following.next().await.is_none());
}

#[tokio::test]
async fn a_record_that_is_missing_stops_reading_and_following_before_it() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = open(&client, 1).await.unwrap();
    let context = jetstream::new(client);
    // The same shard without its protection.
    let mut config = shape_of(1).config(0, log.epoch());
    config.deny_delete = false;
    context.delete_stream("test-evt-0").await.unwrap();
    let shard = context.create_stream(config).await.unwrap();
    for n in 0..5 {
        log.append(append(&conversation(n), "{}")).await.unwrap();
    }
    shard.delete_message(3).await.unwrap();

    assert_eq!(log.read(0, 0, 10).await.unwrap().len(), 2);
    let damaged = |result| matches!(result, Err(ReadError::Damaged { sequence: 3, .. }));
    assert!(damaged(log.read(0, 2, 10).await));
    let mut following = log.follow(0, 0);
    assert_eq!(next(&mut following).await.unwrap().len(), 2);
    assert!(damaged(next(&mut following).await));
}

#[tokio::test]
async fn a_follower_outlives_its_consumer() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = open(&client, 1).await.unwrap();
    let shard = jetstream::new(client).get_stream("test-evt-0").await.unwrap();
    let mut following = log.follow(0, 0);
    for n in 0..5 {
        let sequence = log.append(append(&conversation(1), "{}")).await.unwrap().sequence;
        let records = next(&mut following).await.unwrap();
        assert_eq!(
            records.iter().map(|record| record.sequence).collect::<Vec<_>>(),
            [sequence]
        );
        let consumers: Vec<_> = shard.consumer_names().map(Result::unwrap).collect().await;
        assert!(!consumers.is_empty(), "{n}");
        for consumer in consumers {
            shard.delete_consumer(&consumer).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_follower_of_a_log_that_was_made_anew_stops() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let log = open(&client, 1).await.unwrap();
    for n in 0..3 {
        log.append(append(&conversation(n), "{}")).await.unwrap();
    }
    let mut following = log.follow(0, 1);
    assert_eq!(next(&mut following).await.unwrap().len(), 2);
    jetstream::new(client.clone())
        .delete_stream("test-evt-0")
        .await
        .unwrap();
    let anew = open(&client, 1).await.unwrap();
    for n in 0..9 {
        anew.append(append(&conversation(n), "{}")).await.unwrap();
    }
    let stopped = next(&mut following).await;
    assert!(matches!(stopped, Err(ReadError::Damaged { .. })), "{stopped:?}");
}

/// The server is killed again and again while appenders append and a follower follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_crashes_of_the_server() {
    const CRASHES: usize = 4;
    const APPENDERS: u128 = 6;
    let mut server = NatsServer::start().await;
    let log = Arc::new(open(&server.client().await, 1).await.unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (count, mut counted) = tokio::sync::watch::channel(0_usize);
    let count = Arc::new(count);
    let appenders: Vec<_> = (0..APPENDERS)
        .map(|n| {
            let (log, stopped, count) = (Arc::clone(&log), stopped.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let stream = conversation(n);
                let mut acknowledged: Vec<(u64, Bytes)> = Vec::new();
                while !*stopped.borrow() {
                    let head = acknowledged.last().map_or(0, |(sequence, _)| *sequence);
                    let payload = Bytes::from(format!("{n}.{}", acknowledged.len()));
                    let append = Append {
                        expected: Expected::Head(head),
                        ..append(&stream, payload.clone())
                    };
                    let sequence = loop {
                        match log.append(append.clone()).await {
                            Ok(appended) => break appended.sequence,
                            // Nobody else appends here, so whatever is in the way is this very append.
                            Err(AppendError::Conflict) => match log.head(&stream).await {
                                Ok(head) => break head,
                                Err(error) => assert!(matches!(error, ReadError::Unavailable(_))),
                            },
                            Err(AppendError::Unknown(_) | AppendError::Unavailable(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    };
                    acknowledged.push((sequence, payload));
                    count.send_modify(|count| *count += 1);
                }
                (stream, acknowledged)
            })
        })
        .collect();
    let following = tokio::spawn({
        let mut following = log.follow(0, 0);
        async move {
            let mut records: Vec<Record> = Vec::new();
            while records.last().is_none_or(|record| record.payload != "the end") {
                records.extend(next(&mut following).await.unwrap());
            }
            records
        }
    });
    for _ in 0..CRASHES {
        let more = *counted.borrow() + 150;
        timeout(DEADLINE, counted.wait_for(|count| *count >= more))
            .await
            .unwrap()
            .unwrap();
        server.kill();
        server.restart().await;
    }
    stop.send_replace(true);
    let mut expected = BTreeMap::new();
    for appender in appenders {
        let (stream, acknowledged) = timeout(DEADLINE, appender).await.unwrap().unwrap();
        expected.insert(stream, acknowledged);
    }
    log.append(append(&conversation(APPENDERS), "the end"))
        .await
        .unwrap();

    let followed = timeout(DEADLINE, following).await.unwrap().unwrap();
    let end = log.end(0).await.unwrap();
    assert!(
        followed.iter().map(|record| record.sequence).eq(1..=end),
        "each once, in order"
    );
    for (stream, acknowledged) in expected {
        let found: Vec<_> = followed.iter().filter(|record| record.stream == stream).collect();
        let found: Vec<_> = found
            .into_iter()
            .map(|r| (r.sequence, r.payload.clone()))
            .collect();
        assert!(
            found == acknowledged,
            "{stream}: {} found, {} acknowledged",
            found.len(),
            acknowledged.len()
        );
    }
}
