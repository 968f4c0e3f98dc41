//! A database that is away: commands go on, repeats are told all the same, and nobody waits for it twice.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use eventstore::execute::{ExecuteError, Outcome};
use tokio::time::Instant;

use super::history::History;
use super::logs::Watched;
use super::world::{Node, World, conversation, tag};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

async fn send_named(node: &Node, conversation_number: u64, name: &str) -> eventstore::Position {
    let stream = conversation(conversation_number);
    let sent = node
        .send_tagged(&stream, "ann", name, tag("ann", name, name))
        .await;
    sent.unwrap().position()
}

#[tokio::test(start_paused = true)]
async fn a_database_that_hangs_is_waited_for_once_and_not_by_everyone() {
    let world = World::in_memory();
    let node = world.node();
    for n in 0..50 {
        node.found(&conversation(n), &["ann"]).await;
        node.send(&conversation(n), "ann", "hello").await.unwrap();
    }
    world.project_all().await;
    // Another node, whose states come from the log, and whose commands are not all known to it.
    world.facts.hangs.store(true, SeqCst);
    world.snapshots.hangs.store(true, SeqCst);
    let node = world.node();
    let start = Instant::now();
    let first = send_named(&node, 0, "first").await;
    let waited = start.elapsed();
    assert!(waited <= Duration::from_secs(5), "{waited:?}");
    let start = Instant::now();
    for n in 0..50 {
        for name in ["a", "b", "c"] {
            let sent = send_named(&node, n, name).await;
            assert_eq!(
                send_named(&node, n, name).await,
                sent,
                "a repeat is told from the log"
            );
        }
    }
    assert_eq!(send_named(&node, 0, "first").await, first);
    assert!(
        start.elapsed() < Duration::from_millis(10),
        "nobody waits any more"
    );

    // It is back, and asked again.
    world.facts.hangs.store(false, SeqCst);
    world.snapshots.hangs.store(false, SeqCst);
    world.project_all().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked = world.facts.asked.load(SeqCst);
    let node = world.node();
    assert_eq!(send_named(&node, 0, "first").await, first);
    node.send_many(&conversation(0), "ann", 300).await;
    assert_eq!(send_named(&node, 0, "first").await, first);
    assert!(world.facts.asked.load(SeqCst) >= asked);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_silent_is_waited_for_by_few_and_not_by_everyone() {
    let world = World::in_memory();
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    for n in 0..50 {
        node.found(&conversation(n), &["ann"]).await;
    }
    log.silent.store(true, SeqCst);
    let waiting = node.clone();
    let first = tokio::spawn(async move { waiting.send(&conversation(0), "ann", "hello").await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    // One is let through, to see whether the silence is over.
    let waiting = node.clone();
    let second = tokio::spawn(async move { waiting.send(&conversation(1), "ann", "hello").await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    for n in 2..50 {
        let refused = node.send(&conversation(n), "ann", "hello").await;
        assert_eq!(refused, Err(ExecuteError::LogAway));
    }
    assert!(
        start.elapsed() < Duration::from_millis(10),
        "nobody waits any more"
    );
    let first = first.await.unwrap();
    assert!(matches!(first, Err(ExecuteError::Unavailable(_))), "{first:?}");

    // It answers, and what waited is there; nothing that was refused is.
    log.silent.store(false, SeqCst);
    second.await.unwrap().unwrap();
    for n in 0..50 {
        node.send(&conversation(n), "ann", "hello again").await.unwrap();
        let history = History::of(&world, &conversation(n)).await;
        assert_eq!(history.texts().len(), if n < 2 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn a_long_history_is_not_read_for_every_turn_nor_beyond_a_day() {
    const OLD: usize = 20_000;
    let world = World::in_memory();
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann"]).await;
    // One by one, for what is sent together becomes one commit.
    for n in 0..OLD {
        node.send(&stream, "ann", &n.to_string()).await.unwrap();
    }
    world.clock.fetch_add(DAY_MS + 1_000, SeqCst);
    let recent = send_named(&node, 1, "recent").await;
    node.send_many(&stream, "ann", 600).await;
    world.snapshots.at_version(&stream, OLD as u64).await;
    world.project_all().await;

    // A node that has only the snapshot, and then no facts.
    world.facts.away.store(true, SeqCst);
    let node = world.node_on(log.clone());
    node.state(&stream).await.unwrap();
    let before = log.records_read.load(SeqCst);
    assert_eq!(send_named(&node, 1, "recent").await, recent);
    let read = log.records_read.load(SeqCst) - before;
    assert!(read < OLD as u64 / 4, "{read} records were read");
    let before = log.records_read.load(SeqCst);
    for n in 0..100 {
        // Wherever the read model is said to be.
        world.projected.set(0, recent.sequence + n);
        assert!(matches!(
            node.send_tagged(&stream, "ann", "new", tag("ann", &format!("n{n}"), "new"))
                .await,
            Ok(Outcome::Appended { .. })
        ));
        assert_eq!(send_named(&node, 1, "recent").await, recent);
    }
    let read = log.records_read.load(SeqCst) - before;
    assert!(read < 1_000, "{read} records were read for 200 turns");
}
