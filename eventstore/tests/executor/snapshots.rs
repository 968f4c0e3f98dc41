//! A long conversation opens from its snapshot and the tail; a snapshot that does not fit is passed over.

use std::sync::atomic::Ordering::SeqCst;

use domain::CommitId;
use eventstore::Epoch;
use eventstore::snapshot::Snapshot;

use super::history::History;
use super::logs::Watched;
use super::world::{Node, World, conversation, imported, sent};

on_both_logs! {
    a_long_conversation_opens_from_its_snapshot,
    a_snapshot_that_does_not_fit_is_passed_over,
    without_snapshots_everything_works,
}

/// A conversation of some hundred commits with members who came and went.
async fn long_conversation(node: &Node) {
    let stream = conversation(1);
    node.found(&stream, &["ann", "bob", "cid"]).await;
    for n in 0..120 {
        let lines = (0..10)
            .map(|line| imported(n * 10 + line, "bob", "hello"))
            .collect();
        node.import(&stream, lines).await.unwrap();
    }
    node.execute(&stream, "cid", None, domain::conversation::Command::Leave)
        .await
        .unwrap();
    node.add(&stream, "ann", "dan").await.unwrap();
}

async fn a_long_conversation_opens_from_its_snapshot(world: World) {
    let stream = conversation(1);
    let writing = world.node();
    long_conversation(&writing).await;
    let snapshot = world.snapshots.at_version(&stream, 1_000).await;
    let tail = History::of(&world, &stream).await.since(snapshot.head);
    assert!(
        tail < 60,
        "snapshots are taken often enough: {tail} commits since"
    );

    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    assert_eq!(sent(&node.send(&stream, "dan", "hello").await.unwrap()), 1_201);
    assert_eq!(
        log.records_read.load(SeqCst),
        tail + 1,
        "the snapshot's own record and the tail"
    );
    assert!(node.send(&stream, "cid", "hello").await.is_err());
    assert_eq!(
        node.state(&stream).await.unwrap(),
        History::of(&world, &stream).await.state()
    );
    // Snapshots do not make time go back.
    world.clock.fetch_sub(1_000_000, SeqCst);
    world.node().send(&stream, "dan", "later").await.unwrap();
    History::of(&world, &stream).await;
}

async fn a_snapshot_that_does_not_fit_is_passed_over(world: World) {
    let stream = conversation(1);
    long_conversation(&world.node()).await;
    let good = world.snapshots.at_version(&stream, 1_000).await;
    let wrong = good.state.replace("\"last_ordinal\":1", "\"last_ordinal\":9");
    assert_ne!(wrong, good.state, "a state that would be noticed");
    let unfit = [
        Snapshot {
            schema: "conversation.0".to_owned(),
            ..good.clone()
        },
        Snapshot {
            epoch: Epoch::draw(),
            ..good.clone()
        },
        Snapshot {
            commit_id: CommitId::from_bytes([7; 16]),
            ..good.clone()
        },
        Snapshot {
            head: good.head - 1,
            ..good.clone()
        },
        Snapshot {
            head: good.head + 1_000_000,
            ..good.clone()
        },
        Snapshot {
            head: 0,
            ..good.clone()
        },
    ];
    let mut next = 1_201;
    for snapshot in unfit {
        let node = world.node();
        world.snapshots.plant(
            &stream,
            Snapshot {
                state: wrong.clone(),
                ..snapshot
            },
        );
        assert_eq!(sent(&node.send(&stream, "dan", "hello").await.unwrap()), next);
        assert_eq!(
            node.state(&stream).await.unwrap(),
            History::of(&world, &stream).await.state()
        );
        next += 1;
    }
    world.snapshots.plant(
        &stream,
        Snapshot {
            state: "{\"kind\":7}".to_owned(),
            ..good
        },
    );
    assert_eq!(
        sent(&world.node().send(&stream, "dan", "hello").await.unwrap()),
        next
    );
}

async fn without_snapshots_everything_works(world: World) {
    let stream = conversation(1);
    world.snapshots.away.store(true, SeqCst);
    long_conversation(&world.node()).await;
    let node = world.node();
    assert_eq!(sent(&node.send(&stream, "dan", "hello").await.unwrap()), 1_201);
    assert_eq!(
        node.state(&stream).await.unwrap(),
        History::of(&world, &stream).await.state()
    );
    assert!(world.snapshots.of(&stream).is_none());
    // The next one is taken when they are back.
    world.snapshots.away.store(false, SeqCst);
    node.send_many(&stream, "dan", 300).await;
    world.snapshots.at_version(&stream, 1_400).await;
}
