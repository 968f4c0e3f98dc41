//! SIGKILL of the parts of a cluster at random moments: a node, NATS, Postgres, or all of them. What was
//! acknowledged is there, once and in order, and everything that is answered can be made again from the
//! log.

use std::time::Duration;

use eventstore::contract::nats::NatsServer;
use eventstore::contract::postgres::PostgresServer;
use rand::seq::SliceRandom;
use tests::answers::{answers, assert_same};
use tests::chance::{is_long_run, pause, random};
use tests::deployment::{Cluster, is_cluster};
use tests::ledger::check;
use tests::load::{Load, Way};
use tests::{Client, Folder, TestServer, eventually, report};

const USERS: [(&str, Way); 6] = [
    ("ann", Way::Http),
    ("bob", Way::Http),
    ("cat", Way::Socket(1)),
    ("dan", Way::Socket(1)),
    ("eve", Way::Socket(16)),
    ("fay", Way::Socket(16)),
];

/// What a kill ends.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Node(usize),
    Nats,
    Postgres,
    All,
}

/// Two nodes and what they stand on.
struct Parts {
    nodes: [TestServer; 2],
    nats: NatsServer,
    postgres: PostgresServer,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_doubled_or_disordered_by_kills_of_any_part() {
    if !is_cluster() {
        return;
    }
    let mut parts = Parts::start().await;
    let names: Vec<_> = USERS.iter().map(|(name, _)| *name).collect();
    let ann = parts.nodes[0].client("ann");
    // In several shards, most likely.
    let mut chats = Vec::new();
    for name in ["Garden", "Kitchen", "Attic", "Cellar"] {
        chats.push(ann.group(name, &names).await.id);
    }
    let load = Load::start(&parts.nodes[0].folder, &chats, &USERS);
    let victims = victims();
    for (round, victim) in victims.iter().enumerate() {
        load.servers_at(parts.nodes.iter().map(TestServer::address));
        load.more(random(1, 150)).await;
        if round % 3 == 0 {
            mark_read(&parts.nodes[round % 2].client("bob"), &chats[round % chats.len()]).await;
        }
        pause(Duration::from_millis(20)).await;
        parts.kill(*victim).await;
        load.servers_at(parts.running().map(TestServer::address));
        pause(Duration::from_secs(1)).await;
        parts.start_again(*victim).await;
    }
    load.servers_at(parts.nodes.iter().map(TestServer::address));
    load.more(100).await;
    let ledgers = load.finish().await;
    let total: usize = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum();
    report(&format!(
        "{} kills of parts of a cluster; {total} sends acknowledged",
        victims.len()
    ));

    let mut seen = Vec::new();
    let users = ["ann", "bob", "dan", "fay"];
    let searches = ["word3", "eve", "nothing"];
    for node in &parts.nodes {
        node.settled().await;
        let ann = node.client("ann");
        for chat in &chats {
            check(&ledgers, chat, &ann.acknowledged_messages(chat).await);
        }
        seen.push(answers(node, &users, &searches).await);
    }
    // `ann` has marked everything as read on the first node already, so the second answers the same.
    assert_same(&seen[0], &seen[1]);
    // The read models are rebuilt beside the other node, which serves them from then on.
    parts.nodes[0].rebuild().await;
    for node in &parts.nodes {
        assert_same(&seen[1], &answers(node, &users, &searches).await);
    }
}

/// Each part so many times, in any order.
fn victims() -> Vec<Victim> {
    let each = if is_long_run() { 20 } else { 2 };
    let mut victims: Vec<_> = (0..each)
        .flat_map(|n| [Victim::Node(n % 2), Victim::Nats, Victim::Postgres, Victim::All])
        .collect();
    victims.shuffle(&mut rand::rng());
    victims
}

/// Marks a conversation as read, however often that takes.
async fn mark_read(client: &Client, chat: &str) {
    let body = serde_json::json!({"conversationId": chat});
    eventually("a conversation is marked as read", || async {
        match client
            .post("/conversations/messages/read", &body)
            .try_send()
            .await
        {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(answer.text()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

impl Parts {
    async fn start() -> Self {
        let (nats, postgres) = tokio::join!(NatsServer::start(), PostgresServer::start());
        let cluster = Cluster::on(nats.url(), postgres.url());
        let first = TestServer::start_on(Folder::of(Some(cluster))).await;
        let second = first.another().await;
        Self {
            nodes: [first, second],
            nats,
            postgres,
        }
    }

    async fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Node(number) => self.nodes[number].kill(),
            Victim::Nats => self.nats.kill(),
            Victim::Postgres => self.postgres.kill().await,
            Victim::All => {
                self.nodes[0].kill();
                self.nats.kill();
                self.postgres.kill().await;
                self.nodes[1].kill();
            }
        }
    }

    async fn start_again(&mut self, victim: Victim) {
        match victim {
            Victim::Node(number) => self.nodes[number].restart().await,
            Victim::Nats => self.nats.restart().await,
            Victim::Postgres => self.postgres.restart().await,
            Victim::All => {
                tokio::join!(self.nats.restart(), self.postgres.restart());
                let [first, second] = &mut self.nodes;
                tokio::join!(first.restart(), second.restart());
            }
        }
    }

    /// The nodes that have not been killed.
    fn running(&self) -> impl Iterator<Item = &TestServer> {
        self.nodes.iter().filter(|node| node.is_started())
    }
}
