//! Three NATS servers that each keep a copy of the log: one of them, the leader of a shard above all, is
//! killed or cut off during sends. Nothing acknowledged is lost, nothing is there twice.

use std::time::{Duration, Instant};

use eventstore::contract::nats::NatsCluster;
use eventstore::contract::postgres::PostgresServer;
use rand::seq::SliceRandom;
use tests::chance::{is_long_run, pause, random};
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

/// How long copies may take to catch up.
const HEALING: Duration = Duration::from_secs(60);

/// What befalls a server. Two of three go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    Kill,
    /// It stands still with its connections, and goes on later believing what it believed.
    Cut,
}

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
    let (blows, mut leaders, mut healed) = (blows(), 0, 0);
    for (round, blow) in blows.iter().enumerate() {
        load.more(random(1, 150)).await;
        let shard = format!("{}-evt-{}", cluster.namespace, random(0, SHARDS - 1));
        let leader = match random(0, 3) {
            0 => None,
            _ => nats.leader(&shard).await,
        };
        leaders += u32::from(leader.is_some());
        let victim = leader.unwrap_or_else(|| random(0, SERVERS as u64 - 1) as usize);
        pause(Duration::from_millis(20)).await;
        // With VERBATIM_TEST_KEEP the servers' folders stay: this is what befell them.
        if is_long_run() {
            report(&format!(
                "round {round}: {blow:?} of server {victim}, the leader of {shard}: {}",
                leader.is_some()
            ));
        }
        match blow {
            Blow::Kill => nats.kill(victim),
            Blow::Cut => nats.freeze(victim),
        }
        if round % 2 == 0 {
            // Two of three go on, once they have elected whom they need.
            load.more(random(1, 100)).await;
        }
        pause(Duration::from_secs(1)).await;
        match blow {
            Blow::Kill => nats.restart(victim).await,
            Blow::Cut => nats.thaw(victim),
        }
        // Half of the time the next blow falls on copies that have not caught up.
        if random(0, 1) == 0 {
            whole(&nats, &cluster.namespace).await;
            healed += 1;
        }
    }
    whole(&nats, &cluster.namespace).await;
    load.more(100).await;
    let ledgers = load.finish().await;
    let total: usize = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum();
    report(&format!(
        "NATS servers of {SERVERS} killed or cut off {} times, {leaders} of them leaders; {healed} times all copies were \
         whole before the next; {total} sends acknowledged",
        blows.len()
    ));

    for node in [&first, &second] {
        node.settled().await;
        let ann = node.client("ann");
        for chat in &chats {
            check(&ledgers, chat, &ann.acknowledged_messages(chat).await);
        }
    }
}

/// Waits until all copies of all shards are as new as their leaders.
async fn whole(nats: &NatsCluster, namespace: &str) {
    let start = Instant::now();
    for shard in 0..SHARDS {
        let stream = format!("{namespace}-evt-{shard}");
        while !nats.is_whole(&stream).await {
            assert!(start.elapsed() < HEALING, "a copy of {stream} does not catch up");
            pause(Duration::from_millis(100)).await;
        }
    }
}

fn blows() -> Vec<Blow> {
    let each = if is_long_run() { 30 } else { 2 };
    let mut blows = [vec![Blow::Kill; each], vec![Blow::Cut; each]].concat();
    blows.shuffle(&mut rand::rng());
    blows
}
