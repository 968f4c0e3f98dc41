//! The link between a node and NATS comes and goes: what its sockets hear is the log all the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eventstore::contract::proxy::{Link, Proxy};
use rand::RngExt;
use tests::deployment::{Cluster, is_cluster};
use tests::ledger::check;
use tests::load::{Load, Way};
use tests::shapes::Message;
use tests::{Client, Folder, Listener, TestServer, is_long, report};

/// Who sends on the node with a good link, and who on the other; so calmly that nobody ever misses too much
/// to be given it.
const NEAR: [(&str, Way); 2] = [("ann", Way::Calm), ("bob", Way::Calm)];
const FAR: [(&str, Way); 2] = [("cat", Way::Calm), ("dan", Way::Calm)];
const MEMBERS: [&str; 4] = ["bob", "cat", "dan", "eve"];
const CHATS: usize = 5;

/// How soon a last message that fell into a cut must arrive after the link's return. The design says two
/// seconds; the rest is for machines that run other things too.
const SOON: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_behind_a_bad_link_delivers_is_the_log() {
    if is_cluster() {
        let near = TestServer::start().await;
        let (far, proxy) = behind_a_proxy(near.folder.cluster().unwrap()).await;
        deliver(near, far, proxy).await;
    }
}

/// The one behind the link holds the leases at first, so it is the one that tells what is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_the_log_when_the_node_that_projects_is_behind_the_link() {
    if is_cluster() {
        let cluster = Cluster::shared().await;
        let (far, proxy) = behind_a_proxy(&cluster).await;
        let near = TestServer::start_on(Folder::of(Some(cluster))).await;
        deliver(near, far, proxy).await;
    }
}

/// A node that has NATS behind a proxy.
async fn behind_a_proxy(cluster: &Cluster) -> (TestServer, Proxy) {
    let proxy = Proxy::start(&cluster.nats).await;
    let behind = Cluster {
        nats: proxy.url(),
        ..cluster.clone()
    };
    (TestServer::start_on(Folder::of(Some(behind))).await, proxy)
}

async fn deliver(near: TestServer, far: TestServer, proxy: Proxy) {
    let (ann, mut chats) = (near.client("ann"), Vec::new());
    for number in 0..CHATS {
        chats.push(ann.group(&format!("Chat {number}"), &MEMBERS).await.id);
    }
    let mut listeners = Vec::new();
    for (name, node) in [("ann", &far), ("dan", &far), ("dan", &near), ("eve", &far)] {
        let mut listener = Listener::start(name, node.address(), &near.folder.token(name)).await;
        let is_far = node.address() == far.address();
        listener.name = format!("{name} on the {} node", if is_far { "far" } else { "near" });
        listeners.push(listener);
    }
    let loads = [(&near, NEAR), (&far, FAR)].map(|(node, senders)| {
        let load = Load::start(&near.folder, &chats, &senders);
        load.server_at(Some(node.address()));
        load
    });
    for load in &loads {
        load.more(20).await;
    }

    let time = Duration::from_secs(if is_long() { 60 } else { 15 });
    let (roaming, addresses) = (&listeners[3], [near.address(), far.address()]);
    let (faults, moves, mut kept) = tokio::join!(
        disturb(&proxy, time),
        roam(roaming, addresses, time),
        found(&ann, time),
    );
    roaming.go_to(far.address());
    let (groups, mut ledgers) = (kept.len(), Vec::new());
    for load in loads {
        ledgers.extend(load.finish().await);
    }
    near.settled().await;
    for chat in &chats {
        let messages = ann.acknowledged_messages(chat).await;
        check(&ledgers, chat, &messages);
        kept.insert(chat.clone(), messages);
    }
    for listener in &listeners {
        listener.heard_all(&kept).await;
    }
    let total: usize = kept.values().map(Vec::len).sum();
    let connections: Vec<_> = listeners
        .iter()
        .map(|l| l.heard(|heard| heard.connections))
        .collect();
    report(&format!(
        "{total} messages and {groups} new groups over a link with {faults} faults in {time:?}; one listener moved {moves} times; connections: {connections:?}"
    ));

    let mut after = Vec::new();
    for (round, link) in [
        Link::Refused,
        Link::Swallowing,
        Link::Stalled,
        Link::Refused,
        Link::Swallowing,
    ]
    .into_iter()
    .enumerate()
    {
        proxy.set(link);
        // Long enough that whoever reconnects has begun to wait longer in between.
        tokio::time::sleep(Duration::from_millis(random(200, 2_500))).await;
        let chat = &chats[round];
        let last = ann.say(chat, "the last one").await;
        kept.get_mut(chat).unwrap().push(last);
        proxy.set(Link::Up);
        let back = Instant::now();
        for listener in &listeners {
            listener.heard_all(&kept).await;
        }
        let arrived = listeners
            .iter()
            .filter_map(|listener| listener.heard(|heard| heard.last));
        let took = arrived.max().unwrap().saturating_duration_since(back);
        after.push((link, took));
    }
    report(&format!(
        "a last message arrived after the link's return: {after:?}"
    ));
    assert!(after.iter().all(|(_, took)| *took < SOON), "too late: {after:?}");
}

/// Does to the link whatever can be done to one, at random, and leaves it up. Gives how often.
async fn disturb(proxy: &Proxy, time: Duration) -> usize {
    let (start, mut faults) = (Instant::now(), 0);
    while start.elapsed() < time {
        match random(0, 3) {
            0 => proxy.cut(),
            1 => proxy.set(Link::Refused),
            2 => proxy.set(Link::Stalled),
            _ => proxy.set(Link::Swallowing),
        }
        faults += 1;
        pause(1_500).await;
        proxy.set(Link::Up);
        pause(1_000).await;
    }
    faults
}

/// Someone who founds groups and says something there, for members who are online behind the link.
async fn found(ann: &Client, time: Duration) -> BTreeMap<String, Vec<Message>> {
    let (start, mut said) = (Instant::now(), BTreeMap::new());
    while start.elapsed() < time {
        let chat = ann.group(&format!("Group {}", said.len()), &MEMBERS).await.id;
        let messages = vec![ann.say(&chat, "one").await, ann.say(&chat, "two").await];
        said.insert(chat, messages);
        pause(1_000).await;
    }
    said
}

/// A client that goes from one node to the other and back. Gives how often.
async fn roam(listener: &Listener, addresses: [&str; 2], time: Duration) -> usize {
    let (start, mut moves) = (Instant::now(), 0);
    while start.elapsed() < time {
        listener.go_to(addresses[moves % 2]);
        moves += 1;
        pause(2_000).await;
    }
    moves
}

fn random(from: u64, to: u64) -> u64 {
    rand::rng().random_range(from..=to)
}

/// Lets a random time pass: it is the moment of the fault that is random.
async fn pause(at_most: u64) {
    tokio::time::sleep(Duration::from_millis(random(0, at_most))).await;
}
