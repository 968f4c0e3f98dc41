//! Acknowledgements that get lost, before and after the append: every accepted command is there once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use eventstore::EventLog;
use eventstore::contract::{Loss, LostAcks};
use eventstore::execute::Outcome;
use rand::RngExt;

use super::history::History;
use super::logs::Watched;
use super::world::{World, conversation, sent, tag};

on_both_logs! {
    at_random_under_load,
    the_own_commit_is_found_although_others_followed,
    the_own_commit_is_found_although_the_tail_is_read_late,
    an_append_that_arrives_late_is_there_once,
}

/// A log that remembers no commit ids leaves it all to the executor.
mod memory {
    #[tokio::test(start_paused = true)]
    async fn the_own_commit_is_found_although_others_followed() {
        super::the_own_commit_is_found_although_others_followed(super::World::in_memory()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_own_commit_is_found_although_the_tail_is_read_late() {
        super::the_own_commit_is_found_although_the_tail_is_read_late(super::World::in_memory()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_append_that_arrives_late_is_there_once() {
        super::an_append_that_arrives_late_is_there_once(super::World::in_memory()).await;
    }
}

fn losing(log: Arc<dyn EventLog>, one_in: u32) -> Arc<LostAcks> {
    let log = LostAcks::new(log);
    log.lose_when(move |_| match rand::rng().random_range(0..one_in) {
        0 => Some(Loss::Append),
        1 => Some(Loss::Answer),
        2 => Some(Loss::Late),
        _ => None,
    });
    Arc::new(log)
}

async fn at_random_under_load(world: World) {
    let logs = [
        losing(world.log.clone(), 8),
        losing(world.log_of_another_node().await, 8),
    ];
    let nodes = logs.clone().map(|log| world.node_on(log));
    let stream = conversation(1);
    let clients = ["c0", "c1", "c2", "c3", "c4", "c5"];
    world.node().found(&stream, &clients).await;
    let tasks = clients.into_iter().enumerate().map(|(n, client)| {
        let (node, stream) = (nodes[n % 2].clone(), stream.clone());
        tokio::spawn(async move {
            let mut done = Vec::new();
            for n in 0..60 {
                let text = format!("{client} {n}");
                done.push(match n % 2 {
                    0 => node.send(&stream, client, &text).await.unwrap(),
                    _ => node
                        .send_tagged(&stream, client, &text, tag(client, &text, ""))
                        .await
                        .unwrap(),
                });
            }
            done
        })
    });
    let mut ordinals = HashSet::new();
    for task in tasks.collect::<Vec<_>>() {
        for done in task.await.unwrap() {
            assert!(ordinals.insert(sent(&done)), "no two are told the same");
        }
    }
    for log in &logs {
        for answer in log.deliver_late().await {
            assert!(answer.is_err() || answer.is_ok_and(|appended| appended.sequence > 0));
        }
    }
    let history = History::of(&world, &stream).await;
    assert_eq!(history.texts().len(), clients.len() * 60);
    for (client, texts) in history.texts_by_sender() {
        let expected: Vec<_> = (0..60).map(|n| format!("{client} {n}")).collect();
        assert_eq!(texts, expected);
    }
}

async fn the_own_commit_is_found_although_others_followed(world: World) {
    let log = Watched::new(world.log.clone());
    let (node, other) = (world.node_on(log.clone()), world.another_node().await);
    let stream = conversation(1);
    node.found(&stream, &["ann", "bob"]).await;
    log.lose_next_answer_after({
        let (other, stream) = (other.clone(), stream.clone());
        async move {
            for text in ["after", "and after"] {
                other.send(&stream, "bob", text).await.unwrap();
            }
        }
    });
    let done = node.send(&stream, "ann", "mine").await.unwrap();
    assert_eq!(sent(&done), 1);
    let history = History::of(&world, &stream).await;
    assert_eq!(history.texts(), ["mine", "after", "and after"]);
    assert_eq!(done.position().sequence, history.commits[1].sequence);
    assert_eq!(sent(&node.send(&stream, "ann", "next").await.unwrap()), 4);
}

async fn the_own_commit_is_found_although_the_tail_is_read_late(world: World) {
    let log = Watched::new(world.log.clone());
    let (node, other) = (world.node_on(log.clone()), world.another_node().await);
    let stream = conversation(1);
    node.found(&stream, &["ann", "bob"]).await;
    for round in 0..3 {
        node.state(&stream).await.unwrap();
        log.lose_next_answer_after({
            let (log, other, stream) = (log.clone(), other.clone(), stream.clone());
            async move {
                other.send(&stream, "bob", "other").await.unwrap();
                log.blind_reads.store(3, SeqCst);
            }
        });
        let done = node.send(&stream, "ann", "mine").await.unwrap();
        assert_eq!(sent(&done), 2 * round + 1);
    }
    assert_eq!(
        History::of(&world, &stream).await.texts(),
        ["mine", "other", "mine", "other", "mine", "other"]
    );
}

async fn an_append_that_arrives_late_is_there_once(world: World) {
    let log = Arc::new(LostAcks::new(world.log.clone()));
    let (node, other) = (world.node_on(log.clone()), world.another_node().await);
    let stream = conversation(1);
    node.found(&stream, &["ann", "bob"]).await;
    log.lose_next(Loss::Late);
    node.send(&stream, "ann", "one").await.unwrap();
    other.send(&stream, "bob", "two").await.unwrap();
    log.deliver_late().await;
    log.lose_next(Loss::Late);
    log.lose_next(Loss::Answer);
    let named = tag("ann", "t", "");
    let done = node.send_tagged(&stream, "ann", "three", named).await.unwrap();
    log.deliver_late().await;
    let repeated = other.send_tagged(&stream, "ann", "three", named).await.unwrap();
    assert_eq!(
        repeated,
        Outcome::Repeated {
            position: done.position()
        }
    );
    assert_eq!(
        History::of(&world, &stream).await.texts(),
        ["one", "two", "three"]
    );
}
