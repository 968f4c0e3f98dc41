//! Postgres away under load: sends and live delivery go on, reads say so, and afterwards everything is exact.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eventstore::contract::nats::NatsServer;
use eventstore::contract::postgres::PostgresServer;
use serde_json::Value;
use tests::answers::{answers, assert_same};
use tests::deployment::{Cluster, is_cluster};
use tests::ledger::{Ledger, check};
use tests::load::{Load, Way};
use tests::shapes::Message;
use tests::socket::Closed;
use tests::{Folder, Listener, Socket, TestServer, eventually, is_long, report};

/// Who sends to which node.
const SENDERS: [[(&str, Way); 2]; 2] = [
    [("ann", Way::Http), ("bob", Way::Socket(2))],
    [("cat", Way::Http), ("dan", Way::Socket(2))],
];

/// How long a send may be refused or wait in conversations that are open, on a machine that does other things too.
const MOMENT: Duration = Duration::from_secs(5);

/// How long a socket may take to be refused.
const TURNED_AWAY: Duration = Duration::from_secs(8);

/// How the database goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    /// It refuses connections.
    Killed,
    /// It takes them, and answers nothing: as behind a network that swallows everything.
    Silent,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_and_delivery_go_on_without_the_database() {
    goes_on_without_the_database(Away::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_and_delivery_go_on_while_the_database_is_silent() {
    goes_on_without_the_database(Away::Silent).await;
}

async fn goes_on_without_the_database(how: Away) {
    if !is_cluster() {
        return;
    }
    let mut postgres = PostgresServer::start().await;
    let cluster = Cluster::on(NatsServer::shared().await.url(), postgres.url());
    let one = TestServer::start_on(Folder::of(Some(cluster))).await;
    let other = one.another().await;
    let (ann, mut chats) = (one.client("ann"), Vec::new());
    for name in ["Garden", "Kitchen", "Cellar"] {
        chats.push(ann.group(name, &["bob", "cat", "dan", "eve"]).await.id);
    }
    let mut listeners = Vec::new();
    for (name, node) in [("eve", &one), ("ann", &other)] {
        listeners.push(Listener::start(name, node.address(), &one.folder.token(name)).await);
    }
    let nodes = [&one, &other];
    let loads = [0, 1].map(|node| {
        let load = Load::start(&one.folder, &chats, &SENDERS[node]);
        load.server_at(Some(nodes[node].address()));
        load
    });
    for load in &loads {
        load.more(50).await;
    }

    let time = Duration::from_secs(if is_long() { 60 } else { 10 });
    match how {
        Away::Killed => postgres.kill().await,
        Away::Silent => postgres.freeze(),
    }
    let killed = Instant::now();
    let before: u64 = loads.iter().map(Load::acknowledged).sum();
    let mut refusal = Duration::ZERO;
    while killed.elapsed() < time {
        let heard: Vec<_> = listeners.iter().map(Listener::count).collect();
        for load in &loads {
            load.more(10).await;
        }
        for (listener, before) in listeners.iter().zip(heard) {
            eventually("messages are delivered", || {
                let now = listener.count();
                std::future::ready(if now > before {
                    Ok(())
                } else {
                    Err(format!("{now}"))
                })
            })
            .await;
        }
        for node in nodes {
            refusal = refusal.max(assert_says_so(node, &chats[0]).await);
        }
    }
    for node in nodes {
        assert_turned_away(node).await;
    }
    let went = loads.iter().map(Load::acknowledged).sum::<u64>() - before;
    let away = killed.elapsed();
    match how {
        Away::Killed => postgres.restart().await,
        Away::Silent => postgres.thaw(),
    }
    let back = Instant::now();
    for load in &loads {
        load.more(50).await;
    }
    let mut ledgers = Vec::new();
    for load in loads {
        ledgers.extend(load.finish().await);
    }
    for node in nodes {
        node.settled().await;
    }
    let caught_up = back.elapsed();
    let total: usize = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum();
    let slowest: Vec<_> = ledgers
        .iter()
        .map(|l| {
            format!(
                "{} {:.1?}{}",
                l.user,
                l.slowest,
                if l.refused { " refused" } else { "" }
            )
        })
        .collect();
    report(&format!(
        "without the database ({how:?}) for {away:.1?}: {went} of {total} sends, the slowest of each {slowest:?}; reads refused within {refusal:.1?}; caught up {caught_up:.1?} after its return"
    ));

    let kept = kept(nodes, &ledgers, &chats).await;
    for listener in &listeners {
        listener.heard_all(&kept).await;
        assert_eq!(
            listener.heard(|heard| heard.connections),
            1,
            "{} lost its socket",
            listener.name
        );
    }
    for ledger in &ledgers {
        assert!(
            ledger.slowest < MOMENT,
            "{} waited {:?}",
            ledger.user,
            ledger.slowest
        );
    }
    assert_rebuilt(one, other, &kept).await;
}

/// Reads are refused for now, and the node says why and is ready all the same. Gives how long the slowest
/// refusal took.
async fn assert_says_so(node: &TestServer, chat: &str) -> Duration {
    let paths = [
        "/conversations".to_owned(),
        format!("/conversations/{chat}"),
        format!("/conversations/{chat}/messages"),
        "/conversations/messages/search?q=word3".to_owned(),
    ];
    let asked = Instant::now();
    // One who writes, whose reads wait for what was written, and one who does not.
    let clients = ["ann", "eve"].map(|name| node.client(name));
    let calls = clients.iter().flat_map(|client| {
        paths.iter().map(move |path| async move {
            let answer = client.get(path).send().await.expect(503);
            answer.problem();
            assert!(!answer.header("retry-after").is_empty(), "{path}: {answer:?}");
        })
    });
    futures::future::join_all(calls).await;
    let refusal = asked.elapsed();
    eventually("the node says that the database is away", || async {
        let ready: Value = node.anonymous().get("/ready").send().await.expect(200).json();
        assert_eq!(ready["ready"], true, "{ready}");
        match ready["stations"]["read_models"].as_str() {
            Some("ok") | None => Err(ready.to_string()),
            Some(_) => Ok(()),
        }
    })
    .await;
    refusal
}

/// Whoever was never online on a node cannot be given anything there: told to come back, not kept waiting.
async fn assert_turned_away(node: &TestServer) {
    let asked = Instant::now();
    let mut socket = Socket::try_connect(node.address(), &node.folder.token("zoe"))
        .await
        .unwrap();
    assert_eq!(socket.closed().await, Closed(Some(4002)));
    assert!(asked.elapsed() < TURNED_AWAY, "{:?}", asked.elapsed());
}

/// What both nodes serve, which is what was acknowledged; and what is unread is counted anew.
async fn kept(
    nodes: [&TestServer; 2],
    ledgers: &[Ledger],
    chats: &[String],
) -> BTreeMap<String, Vec<Message>> {
    let mut kept = BTreeMap::new();
    for chat in chats {
        let messages = nodes[0].client("eve").messages(chat).await;
        check(ledgers, chat, &messages);
        assert!(nodes[1].client("eve").messages(chat).await == messages);
        for (index, name) in ["ann", "bob", "cat", "dan", "eve"].into_iter().enumerate() {
            let is_own = |message: &&Message| message.from_user_id == name;
            let after = messages.iter().filter(is_own).map(|m| m.ordinal).max();
            let unread = messages.len() as u64 - after.unwrap_or(0);
            let conversation = nodes[index % 2].client(name).conversation(chat).await;
            assert_eq!(conversation.unread_count, unread, "unread by {name}");
        }
        kept.insert(chat.clone(), messages);
    }
    kept
}

/// Everything that is answered can be made again from the log.
async fn assert_rebuilt(mut one: TestServer, mut other: TestServer, kept: &BTreeMap<String, Vec<Message>>) {
    let (users, searches) = (["ann", "dan", "eve"], ["word3", "cat", "nothing"]);
    let live = answers(&other, &users, &searches).await;
    assert!(other.terminate().await.success());
    assert_same(&live, &answers(&one, &users, &searches).await);
    one.rebuild().await;
    assert_same(&live, &answers(&one, &users, &searches).await);
    for (chat, messages) in kept {
        assert!(one.client("eve").messages(chat).await == *messages);
    }
}
