//! The contract of signals, on both implementations.

#![allow(clippy::unwrap_used, reason = "a test and what supports it fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use domain::{ConversationId, TenantId, UserId};
use eventstore::contract::nats::NatsServer;
use eventstore::jetstream::signals::JetStreamSignals;
use eventstore::jetstream::{JetStreamConfig, JetStreamLog};
use eventstore::log::Position;
use eventstore::signals::{InProcessSignals, Signal, Signals, Topic};
use eventstore::{Epoch, EventLog};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

fn joined(user: &str, epoch: Epoch) -> Signal {
    Signal::Joined {
        tenant: TenantId::parse("a.b *").unwrap(),
        user: UserId::parse(user).unwrap(),
        conversation: ConversationId::from_bytes([7; 16]),
        position: position(epoch, 0, 9),
    }
}

const fn position(epoch: Epoch, shard: u16, sequence: u64) -> Position {
    Position {
        epoch,
        shard,
        sequence,
    }
}

async fn next(signals: &mut BoxStream<'static, Signal>) -> Signal {
    timeout(DEADLINE, signals.next()).await.unwrap().unwrap()
}

/// Signals of one node come to another and to itself, those that are asked for, and progress by its newest.
async fn signals_come_to_all_who_ask(here: &dyn Signals, there: &dyn Signals, epoch: Epoch) {
    let mut both = there.subscribe(&[Topic::Joined, Topic::Projected]).await.unwrap();
    let mut own = here.subscribe(&[Topic::Joined]).await.unwrap();
    let mut progress = there.subscribe(&[Topic::Projected]).await.unwrap();
    for user in ["ann", "đ>7", "*", "a.b"] {
        here.publish(joined(user, epoch));
        assert_eq!(next(&mut both).await, joined(user, epoch));
        assert_eq!(next(&mut own).await, joined(user, epoch));
    }
    for sequence in 1..=2_000 {
        here.publish(Signal::Projected(position(epoch, 1, sequence)));
    }
    let mut count = 0;
    loop {
        count += 1;
        if next(&mut progress).await == Signal::Projected(position(epoch, 1, 2_000)) {
            break;
        }
    }
    assert!(count <= 2_000);
    here.publish(joined("last", epoch));
    assert_eq!(
        next(&mut own).await,
        joined("last", epoch),
        "progress was not asked for"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_process() {
    let signals = InProcessSignals::default();
    let epoch = Epoch::draw();
    let gone = signals.subscribe(&[Topic::Joined]).await.unwrap();
    drop(gone);
    // More than one who does not listen can hold.
    let mut slow = signals.subscribe(&[Topic::Joined]).await.unwrap();
    for _ in 0..5_000 {
        signals.publish(joined("many", epoch));
    }
    assert_eq!(next(&mut slow).await, joined("many", epoch));
    let hearing = signals.clone();
    let slow = tokio::spawn(async move {
        let mut progress = hearing.subscribe(&[Topic::Projected]).await.unwrap();
        next(&mut progress).await
    });
    while !slow.is_finished() {
        signals.publish(Signal::Projected(position(epoch, 0, 1)));
        tokio::task::yield_now().await;
    }
    assert_eq!(slow.await.unwrap(), Signal::Projected(position(epoch, 0, 1)));
    let few = InProcessSignals::default();
    let mut newest = few.subscribe(&[Topic::Projected]).await.unwrap();
    few.publish(Signal::Projected(position(epoch, 0, 5)));
    assert_eq!(next(&mut newest).await, Signal::Projected(position(epoch, 0, 5)));
    signals_come_to_all_who_ask(&few, &few, epoch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_jetstream() {
    let server = NatsServer::start().await;
    let open = async || {
        let config = JetStreamConfig::new(server.client().await, "contract");
        JetStreamLog::open(config).await.unwrap()
    };
    let (here, there) = (open().await, open().await);
    let epoch = here.epoch();
    let (here, there) = (
        JetStreamSignals::new(&here),
        Arc::new(JetStreamSignals::new(&there)),
    );
    let mut hearing = there.subscribe(&[Topic::Joined, Topic::Projected]).await.unwrap();
    // Nonsense, and signals of another log.
    let client = server.client().await;
    for subject in [
        "contract.announce.a.b",
        "contract.announce.=.b",
        "contract.projected.x",
        "contract.projected.1",
    ] {
        for text in [
            "",
            "{}",
            "\u{1}",
            r#"{"epoch":"01ARZ3NDEKTSV4RRFFQ69G5FAV","sequence":5}"#,
        ] {
            client.publish(subject, text.into()).await.unwrap();
        }
    }
    client.flush().await.unwrap();
    here.publish(joined("foreign", Epoch::draw()));
    here.publish(joined("own", epoch));
    assert_eq!(next(&mut hearing).await, joined("own", epoch));
    signals_come_to_all_who_ask(&here, there.as_ref(), epoch).await;
}
