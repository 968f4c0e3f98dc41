//! The contract of roll calls, on both implementations.

#![allow(clippy::unwrap_used, reason = "a test and what supports it fail by panicking")]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::{TenantId, UserId};
use eventstore::contract::nats::NatsServer;
use eventstore::jetstream::roll_call::JetStreamRollCall;
use eventstore::jetstream::{JetStreamConfig, JetStreamLog};
use eventstore::roll_call::{Attendance, InProcessRollCall, Person, RollCall};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(20);

/// A node on which these are online.
struct Here(HashSet<Person>);

#[async_trait]
impl Attendance for Here {
    async fn present(&self, asked: &[Person]) -> Vec<usize> {
        let places = asked.iter().enumerate();
        places
            .filter(|(_, person)| self.0.contains(person))
            .map(|(place, _)| place)
            .collect()
    }
}

fn person(tenant: &str, user: &str) -> Person {
    (TenantId::parse(tenant).unwrap(), UserId::parse(user).unwrap())
}

struct Attending {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

fn attend(calls: &Arc<dyn RollCall>, people: &[Person]) -> Attending {
    let here = Arc::new(Here(people.iter().cloned().collect()));
    let (calls, cancel) = (Arc::clone(calls), CancellationToken::new());
    let cancelled = cancel.clone();
    let task = tokio::spawn(async move { calls.attend(here, cancelled).await });
    Attending { cancel, task }
}

/// Asks until these and no others are named: nodes come and go at their own pace.
async fn named(calls: &dyn RollCall, asked: &[Person], expected: &[Person]) {
    let expected: HashSet<_> = expected.iter().cloned().collect();
    let began = Instant::now();
    loop {
        let present = calls.call(asked).await;
        if present == expected {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "{present:?}");
    }
}

async fn people_are_found_on_every_node(one: Arc<dyn RollCall>, other: Arc<dyn RollCall>) {
    let [ann, bob, cat, odd] = [
        person("t", "ann"),
        person("t", "bob"),
        person("t", "cat"),
        person("a.b *", "đ>7"),
    ];
    let foreign = person("u", "ann");
    let asked = [&ann, &bob, &cat, &odd, &foreign].map(Clone::clone);
    named(&*one, &asked, &[]).await;
    let here = attend(&one, &[ann.clone(), bob.clone()]);
    let there = attend(&other, &[bob.clone(), odd.clone()]);
    for calls in [&one, &other] {
        named(&**calls, &asked, &[ann.clone(), bob.clone(), odd.clone()]).await;
    }
    assert!(one.call(&[]).await.is_empty());
    // More than are asked for at once.
    let mut many: Vec<_> = (0..2_500)
        .map(|number| person("t", &format!("user{number}")))
        .collect();
    many.push(odd.clone());
    named(&*one, &many, std::slice::from_ref(&odd)).await;
    there.cancel.cancel();
    there.task.await.unwrap();
    named(&*one, &asked, &[ann, bob]).await;
    here.cancel.cancel();
    here.task.await.unwrap();
    named(&*other, &asked, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_process() {
    let calls: Arc<dyn RollCall> = Arc::new(InProcessRollCall::default());
    people_are_found_on_every_node(Arc::clone(&calls), calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_jetstream() {
    let server = NatsServer::start().await;
    let open = async || {
        let config = JetStreamConfig::new(server.client().await, "contract");
        JetStreamLog::open(config).await.unwrap()
    };
    let (one, other) = (open().await, open().await);
    let calls = |log: &JetStreamLog| -> Arc<dyn RollCall> { Arc::new(JetStreamRollCall::new(log)) };
    let (one, other) = (calls(&one), calls(&other));
    // Nonsense makes nobody stop listening, and a reply elsewhere is not answered.
    let client = server.client().await;
    let here = attend(&one, &[person("t", "ann")]);
    let ann = [person("t", "ann")];
    named(&*other, &ann, &ann).await;
    let mut elsewhere = client.subscribe("elsewhere").await.unwrap();
    for text in ["", "{}", "[[\"\",\"\"]]", "[[\"t\",\"ann\"]]"] {
        let sent = client.publish_with_reply("contract.rollcall", "elsewhere", text.into());
        sent.await.unwrap();
    }
    client.flush().await.unwrap();
    named(&*other, &ann, &ann).await;
    let heard = tokio::time::timeout(
        Duration::from_millis(50),
        futures::StreamExt::next(&mut elsewhere),
    );
    assert!(heard.await.is_err());
    here.cancel.cancel();
    here.task.await.unwrap();
    people_are_found_on_every_node(one, other).await;
}
