//! Many clients at one conversation, through one node and through two.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::history::History;
use super::world::{Done, Node, World, conversation, sent};

const CLIENTS: [&str; 8] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];

on_both_logs! {
    eight_clients_through_one_node,
    eight_clients_through_two_nodes,
    many_conversations_at_once,
    neither_of_two_nodes_starves_the_other,
}

async fn eight_clients_through_one_node(world: World) {
    let node = world.node();
    eight_clients(&world, &[node], 1_000).await;
}

async fn eight_clients_through_two_nodes(world: World) {
    let nodes = [world.node(), world.another_node().await];
    eight_clients(&world, &nodes, 1_000).await;
}

async fn eight_clients(world: &World, nodes: &[Node], each: usize) {
    let stream = conversation(1);
    nodes[0].found(&stream, &CLIENTS).await;
    let clients: Vec<_> = CLIENTS
        .iter()
        .enumerate()
        .map(|(n, client)| {
            let (node, stream) = (nodes[n % nodes.len()].clone(), stream.clone());
            tokio::spawn(async move { node.send_many(&stream, client, each).await })
        })
        .collect();
    let mut done: Vec<Vec<Done>> = Vec::new();
    for client in clients {
        done.push(client.await.unwrap());
    }

    let history = History::of(world, &stream).await;
    assert_eq!(
        history.texts().len(),
        CLIENTS.len() * each,
        "nothing is missing and nothing is there twice"
    );
    for (client, texts) in history.texts_by_sender() {
        let expected: Vec<_> = (0..each).map(|n| format!("{client} {n}")).collect();
        assert_eq!(texts, expected, "each client's own order is kept");
    }
    let told: HashSet<_> = done.iter().flatten().map(sent).collect();
    assert_eq!(
        told.len(),
        CLIENTS.len() * each,
        "each client was told an ordinal of its own"
    );
    for done in done.iter().flatten() {
        let there = history
            .commits
            .iter()
            .find(|commit| commit.sequence == done.position().sequence);
        let ordinals = there
            .into_iter()
            .flat_map(|commit| &commit.events)
            .filter_map(|event| match &event.event {
                eventstore::Event::Conversation(domain::conversation::Event::MessageSent(m)) => {
                    Some(m.ordinal.get())
                }
                _ => None,
            });
        assert!(
            ordinals.into_iter().any(|ordinal| ordinal == sent(done)),
            "the position is the message's"
        );
    }
}

async fn many_conversations_at_once(world: World) {
    let nodes = [world.node(), world.another_node().await];
    let world = Arc::new(world);
    let mut tasks = Vec::new();
    for n in 0..40 {
        let (world, nodes, stream) = (Arc::clone(&world), nodes.clone(), conversation(n));
        tasks.push(tokio::spawn(async move {
            nodes[0].found(&stream, &["ann", "bob"]).await;
            let (ann, bob) = tokio::join!(
                nodes[0].send_many(&stream, "ann", 25),
                nodes[1].send_many(&stream, "bob", 25)
            );
            assert_eq!((ann.len(), bob.len()), (25, 25));
            assert_eq!(History::of(&world, &stream).await.texts().len(), 50);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// One node's clients send without a pause, each as soon as its last message is taken, and the other
/// node's messages get through all the same.
async fn neither_of_two_nodes_starves_the_other(world: World) {
    let nodes = [world.node(), world.another_node().await];
    let stream = conversation(1);
    nodes[0].found(&stream, &CLIENTS).await;
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = CLIENTS[..4]
        .iter()
        .map(|client| {
            let (node, stream, stop) = (nodes[0].clone(), stream.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut sent = 0;
                while !stop.load(SeqCst) {
                    node.send(&stream, client, "hello").await.unwrap();
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    let others = CLIENTS[4..].iter().map(|client| {
        let (node, stream) = (nodes[1].clone(), stream.clone());
        tokio::spawn(async move {
            let mut took = Vec::new();
            for _ in 0..150 {
                let start = Instant::now();
                node.send(&stream, client, "hello").await.unwrap();
                took.push(start.elapsed());
            }
            took
        })
    });
    let mut took = Vec::new();
    for other in others.collect::<Vec<_>>() {
        took.extend(other.await.unwrap());
    }
    stop.store(true, SeqCst);
    let mut sent = took.len();
    for client in busy {
        sent += client.await.unwrap();
    }
    let slowest = took.into_iter().max().unwrap();
    assert!(slowest < Duration::from_secs(5), "a message took {slowest:?}");
    assert_eq!(History::of(&world, &stream).await.texts().len(), sent);
}
