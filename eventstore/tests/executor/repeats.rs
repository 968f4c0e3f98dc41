//! A command that its client repeats is carried out once, whatever happened in between.

use std::collections::HashSet;
use std::sync::atomic::Ordering::SeqCst;

use eventstore::CommandTag;
use eventstore::execute::{ExecuteError, Outcome};
use futures::future::join_all;

use super::history::History;
use super::logs::Watched;
use super::world::{Done, Node, World, conversation, tag};

on_both_logs! {
    a_hundred_at_once_on_one_node,
    a_hundred_at_once_on_two_nodes,
    much_later,
    after_a_restart,
    beside_a_new_command,
}

/// Events that a snapshot is due after.
const SNAPSHOT: usize = 256;

async fn a_hundred_at_once_on_one_node(world: World) {
    let node = world.node();
    a_hundred_at_once(&world, &[node.clone(), node]).await;
}

async fn a_hundred_at_once_on_two_nodes(world: World) {
    let nodes = [world.node(), world.another_node().await];
    a_hundred_at_once(&world, &nodes).await;
}

async fn a_hundred_at_once(world: &World, nodes: &[Node; 2]) {
    let stream = conversation(1);
    nodes[0].found(&stream, &["ann", "bob"]).await;
    for round in 0..5 {
        let name = format!("t{round}");
        let same = tag("ann", &name, "hello");
        let sends = (0..100).map(|n| nodes[n % 2].send_tagged(&stream, "ann", &name, same));
        let outcomes: Vec<Done> = join_all(sends)
            .await
            .into_iter()
            .map(|sent| sent.unwrap())
            .collect();
        let appended = outcomes
            .iter()
            .filter(|done| matches!(done, Outcome::Appended { .. }))
            .count();
        assert_eq!(appended, 1, "one of them is the original");
        let positions: HashSet<_> = outcomes.iter().map(Outcome::position).collect();
        assert_eq!(positions.len(), 1, "all are told where the original is");
    }
    let history = History::of(world, &stream).await;
    assert_eq!(history.texts(), ["t0", "t1", "t2", "t3", "t4"]);
}

/// The repeat gets the original's position, another payload is refused, and nothing is appended.
async fn assert_remembered(world: &World, node: &Node, named: CommandTag, original: &Done) {
    let stream = conversation(1);
    let head = world.head(&stream).await;
    let repeated = node.send_tagged(&stream, "ann", "hello", named).await;
    assert_eq!(
        repeated,
        Ok(Outcome::Repeated {
            position: original.position()
        })
    );
    let other = CommandTag {
        fingerprint: tag("ann", "t", "another").fingerprint,
        ..named
    };
    assert_eq!(
        node.send_tagged(&stream, "ann", "another", other).await,
        Err(ExecuteError::AnotherPayload)
    );
    assert_eq!(world.head(&stream).await, head, "nothing is appended");
}

async fn much_later(world: World) {
    let (stream, named) = (conversation(1), tag("ann", "t", "hello"));
    let node = world.node();
    node.found(&stream, &["ann", "bob"]).await;
    let original = node.send_tagged(&stream, "ann", "hello", named).await.unwrap();
    node.send_many(&stream, "bob", 2 * SNAPSHOT).await;
    assert_remembered(&world, &node, named, &original).await;

    // The read model has it, and memory can forget it.
    world.project_all().await;
    for shard in 0..world.log.shards() {
        world.projected.set(shard, world.facts.checkpoint(shard));
    }
    node.send_many(&stream, "bob", 1).await;
    assert_remembered(&world, &node, named, &original).await;

    // A node that opens the conversation from its snapshot knows it from the facts alone.
    let snapshot = world.snapshots.at_version(&stream, SNAPSHOT as u64).await;
    assert!(snapshot.head > original.position().sequence);
    let log = Watched::new(world.log.clone());
    let started = world.node_on(log.clone());
    assert_remembered(&world, &started, named, &original).await;
    let tail = History::of(&world, &stream).await.since(snapshot.head);
    // The snapshot's own record, the tail, and what is newer than the facts: far from all there is.
    let read = log.records_read.load(SeqCst);
    assert!(
        read < tail + 10,
        "{read} records were read, with {tail} since the snapshot"
    );
    assert!(world.facts.asked.load(SeqCst) > 0);
}

async fn after_a_restart(world: World) {
    let (stream, early, late) = (
        conversation(1),
        tag("ann", "early", "hello"),
        tag("ann", "late", "hello"),
    );
    let node = world.node();
    node.found(&stream, &["ann", "bob"]).await;
    let original = node.send_tagged(&stream, "ann", "hello", early).await.unwrap();
    // Without a snapshot the tail is everything.
    assert_remembered(&world, &world.node(), early, &original).await;

    node.send_many(&stream, "bob", 2 * SNAPSHOT).await;
    world.snapshots.at_version(&stream, SNAPSHOT as u64).await;
    // The facts know nothing yet, and the snapshot's head is far beyond.
    assert_remembered(&world, &world.node(), early, &original).await;

    // The facts end below the early one, then between the two, both below the snapshot's head.
    let shard = world.log.shard_of(&stream);
    let reached = |sequence| world.facts.project(&*world.log, &world.codec, shard, sequence);
    reached(original.position().sequence - 1).await;
    assert_remembered(&world, &world.node(), early, &original).await;
    reached(original.position().sequence + 1).await;
    let last = node.send_tagged(&stream, "ann", "hello", late).await.unwrap();
    node.send_many(&stream, "bob", 2 * SNAPSHOT).await;
    world.snapshots.at_version(&stream, 3 * SNAPSHOT as u64).await;
    let started = world.node();
    assert_remembered(&world, &started, late, &last).await;
    assert_remembered(&world, &started, early, &original).await;
    assert_remembered(&world, &world.node(), early, &original).await;

    // The database is away: the log knows as well.
    world.facts.away.store(true, SeqCst);
    for started in [world.node(), node] {
        assert_remembered(&world, &started, early, &original).await;
        assert_remembered(&world, &started, late, &last).await;
        let name = format!("new {}", world.head(&stream).await);
        let new = tag("ann", &name, "hello");
        let sent = started.send_tagged(&stream, "ann", "hello", new).await.unwrap();
        assert!(matches!(sent, Outcome::Appended { .. }), "what is new is taken");
        assert_remembered(&world, &started, new, &sent).await;
    }
    world.facts.away.store(false, SeqCst);
    assert_remembered(&world, &world.node(), early, &original).await;
    for (_, places) in History::of(&world, &stream).await.named() {
        assert_eq!(places.len(), 1, "no named command is there twice");
    }
}

/// What the look-up for a new command lets go of is asked for in the same look-up.
async fn beside_a_new_command(world: World) {
    let stream = conversation(1);
    let node = world.node();
    node.found(&stream, &["ann", "bob"]).await;
    node.send_many(&stream, "bob", 2 * SNAPSHOT).await;
    world.snapshots.at_version(&stream, SNAPSHOT as u64).await;
    world.project_all().await;
    let log = Watched::new(world.log.clone());
    let started = world.node_on(log.clone());
    for round in 0..3 {
        let [old, new] = ["old", "new"].map(|name| tag("ann", &format!("{name} {round}"), "hello"));
        let original = started.send_tagged(&stream, "ann", "hello", old).await.unwrap();
        world.project_all().await;
        // Both queue behind another append, so that one turn takes them.
        let gate = log.gate.clone().write_owned().await;
        let (first, sent, repeated, ()) = tokio::join!(
            started.send(&stream, "bob", "hello"),
            started.send_tagged(&stream, "ann", "hello", new),
            started.send_tagged(&stream, "ann", "hello", old),
            async move { drop(gate) },
        );
        assert!(first.is_ok());
        assert!(matches!(sent, Ok(Outcome::Appended { .. })));
        assert_eq!(
            repeated,
            Ok(Outcome::Repeated {
                position: original.position()
            })
        );
    }
}
