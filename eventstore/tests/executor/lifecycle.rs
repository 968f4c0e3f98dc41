//! Actors come when they are spoken to and go when they are idle; what was accepted is carried out.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use domain::conversation::reads;
use eventstore::execute::Outcome;

use super::history::History;
use super::logs::Watched;
use super::world::{World, conversation, tag};

on_both_logs! {
    a_caller_that_goes_away_loses_and_doubles_nothing,
    what_was_accepted_is_carried_out_after_the_executor_is_gone,
}

async fn a_caller_that_goes_away_loses_and_doubles_nothing(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann"]).await;
    let gate = log.gate.clone().write_owned().await;
    let named = |n: usize| tag("ann", &format!("t{n}"), "");
    for n in 0..20 {
        // Polled once, and dropped.
        let send = node.send_tagged(&stream, "ann", "hello", named(n));
        assert!(futures::FutureExt::now_or_never(send).is_none());
    }
    drop(gate);
    for n in 0..20 {
        let repeated = node.send_tagged(&stream, "ann", "hello", named(n)).await.unwrap();
        assert!(matches!(repeated, Outcome::Repeated { .. }));
    }
    assert_eq!(History::of(&world, &stream).await.texts().len(), 20);
}

async fn what_was_accepted_is_carried_out_after_the_executor_is_gone(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann"]).await;
    let gate = log.gate.clone().write_owned().await;
    for n in 0..500 {
        let send = node.send_tagged(&stream, "ann", "hello", tag("ann", &format!("t{n}"), ""));
        assert!(futures::FutureExt::now_or_never(send).is_none());
    }
    drop(node);
    drop(gate);
    gone(&log).await;
    assert_eq!(History::of(&world, &stream).await.texts().len(), 500);
}

/// Waits until no actor holds the log any more.
async fn gone(log: &Arc<Watched>) {
    let all_gone = async {
        while Arc::strong_count(log) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_gone)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn idle_actors_go_and_come_again() {
    let world = World::in_memory();
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let holders = Arc::strong_count(&log);
    for n in 0..10 {
        node.found(&conversation(n), &["ann"]).await;
        node.send(&conversation(n), "ann", "hello").await.unwrap();
        node.mark(&conversation(n), "ann", reads::Command::MarkRead(None))
            .await
            .unwrap();
    }
    assert_eq!(Arc::strong_count(&log), holders + 20, "an actor and a lane each");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(Arc::strong_count(&log), holders, "all are gone");
    let done = node.send(&conversation(3), "ann", "hello again").await.unwrap();
    assert_eq!(super::world::sent(&done), 2);
    assert_eq!(Arc::strong_count(&log), holders + 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_while_an_actor_retires() {
    let world = World::in_memory();
    let node = world.node();
    let stream = conversation(1);
    node.found(&stream, &["ann"]).await;
    let mut expected = 0;
    for millis in (119_990..120_010).cycle().take(200) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        for done in node.send_many(&stream, "ann", 3).await {
            expected += 1;
            assert_eq!(super::world::sent(&done), expected);
        }
    }
    assert_eq!(History::of(&world, &stream).await.texts().len(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_hangs_holds_nobody_up_for_long() {
    let world = World::in_memory();
    let stream = conversation(1);
    let node = world.node();
    let named = tag("ann", "t", "");
    node.found(&stream, &["ann"]).await;
    let original = node.send_tagged(&stream, "ann", "hello", named).await.unwrap();
    node.send_many(&stream, "ann", 600).await;
    let snapshot = world.snapshots.at_version(&stream, 500).await;
    world.facts.hangs.store(true, SeqCst);
    let start = tokio::time::Instant::now();
    let from_snapshot = world.node();
    let repeated = from_snapshot
        .send_tagged(&stream, "ann", "hello", named)
        .await
        .unwrap();
    assert_eq!(
        repeated,
        Outcome::Repeated {
            position: original.position()
        }
    );
    assert!(snapshot.head > original.position().sequence);
    world.snapshots.hangs.store(true, SeqCst);
    let from_the_log = world.node();
    from_the_log
        .send_tagged(&stream, "ann", "hello", tag("ann", "u", ""))
        .await
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(world.log.end(0).await.unwrap(), world.head(&stream).await);
}
