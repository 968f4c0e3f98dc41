//! Three NATS servers that each keep a copy of the log: one of them at a time is killed or cut off during sends, the
//! leader of a shard above all. Nothing acknowledged is lost, nothing is there twice.

use std::time::Duration;

use eventstore::contract::nats::NatsCluster;
use eventstore::contract::postgres::PostgresServer;
use rand::RngExt;
use tests::deployment::{Cluster, is_cluster};
use tests::ledger::check;
use tests::load::{Load, Way};
use tests::{Folder, TestServer, report};

const SERVERS: usize = 3;
const SHARDS: u64 = 4;

const USERS: [(&str, Way); 6] = [
    ("ann", Way::Http),
    ("bob", Way::Http),
    ("cat", Way::Socket(1)),
    ("dan", Way::Socket(1)),
    ("eve", Way::Socket(16)),
    ("fay", Way::Socket(16)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_when_leaders_of_the_log_are_killed_or_cut_off() {
    if !is_cluster() {
        return;
    }
    let (mut nats, postgres) = tokio::join!(NatsCluster::start(SERVERS), PostgresServer::start());
    let cluster = Cluster {
        replicas: SERVERS,
        ..Cluster::on(nats.url(), postgres.url())
    };
    let first = TestServer::start_on(Folder::of(Some(cluster.clone()))).await;
    let second = first.another().await;
    let names: Vec<_> = USERS.iter().map(|(name, _)| *name).collect();
    let ann = first.client("ann");
    let mut chats = Vec::new();
    for name in ["Garden", "Kitchen", "Attic", "Cellar"] {
        chats.push(ann.group(name, &names).await.id);
    }
    let load = Load::start(&first.folder, &chats, &USERS);
    load.servers_at([first.address(), second.address()]);
    let mut leaders = 0;
    for round in 0..rounds() {
        load.more(random(1, 150)).await;
        let shard = format!("{}-evt-{}", cluster.namespace, random(0, SHARDS - 1));
        let leader = match random(0, 3) {
            0 => None,
            _ => nats.leader(&shard).await,
        };
        leaders += u32::from(leader.is_some());
        let victim = leader.unwrap_or_else(|| rand::rng().random_range(0..SERVERS));
        pause(20_000).await;
        if round % 2 == 0 {
            nats.kill(victim);
        } else {
            nats.freeze(victim);
        }
        if round % 3 != 0 {
            // Two of three go on, once they have elected whom they need.
            load.more(random(1, 100)).await;
        }
        pause(1_000_000).await;
        if round % 2 == 0 {
            nats.restart(victim).await;
        } else {
            nats.thaw(victim);
        }
    }
    load.more(100).await;
    let ledgers = load.finish().await;
    let total: usize = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum();
    report(&format!(
        "{} NATS servers of {SERVERS} killed or cut off, {leaders} of them leaders; {total} sends acknowledged",
        rounds()
    ));

    for node in [&first, &second] {
        node.settled().await;
        let ann = node.client("ann");
        for chat in &chats {
            check(&ledgers, chat, &ann.acknowledged_messages(chat).await);
        }
    }
}

fn rounds() -> usize {
    if std::env::var_os("VERBATIM_TEST_LONG").is_some() {
        40
    } else {
        6
    }
}

fn random(from: u64, to: u64) -> u64 {
    rand::rng().random_range(from..=to)
}

/// Lets a random time pass, up to so many microseconds: it is the moment of the kill that is random.
async fn pause(at_most: u64) {
    tokio::time::sleep(Duration::from_micros(random(0, at_most))).await;
}
