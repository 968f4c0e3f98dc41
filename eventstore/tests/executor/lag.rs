//! A read model that is too far behind makes commands wait, and then refuses them.

use std::time::{Duration, Instant};

use eventstore::execute::ExecuteError;

use super::world::{Node, World, conversation};

on_both_logs! {
    commands_wait_for_a_read_model_that_is_too_far_behind,
}

async fn commands_wait_for_a_read_model_that_is_too_far_behind(mut world: World) {
    world.max_lag = 5;
    let stream = conversation(1);
    let shard = world.log.shard_of(&stream);
    let node = world.node();
    let send = |node: &Node| {
        let (node, stream) = (node.clone(), stream.clone());
        tokio::spawn(async move { node.send(&stream, "ann", "hello").await })
    };
    node.found(&stream, &["ann"]).await;
    for _ in 0..5 {
        node.send(&stream, "ann", "hello").await.unwrap();
    }
    let head = world.head(&stream).await;
    assert_eq!(head, 6);

    // It waits, and goes on once the read model catches up.
    let waiting = send(&node);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    world.projected.set(shard, 3);
    waiting.await.unwrap().unwrap();
    assert_eq!(world.head(&stream).await, 7);

    // It waits no longer than it is told to, on a node that has just started too.
    world.projected.set(shard, 1);
    for node in [node.clone(), world.node()] {
        let start = Instant::now();
        assert_eq!(send(&node).await.unwrap(), Err(ExecuteError::Overloaded));
        assert!((1..5).contains(&start.elapsed().as_secs()));
        assert_eq!(world.head(&stream).await, 7);
        // Questions are answered all the same.
        node.state(&stream).await.unwrap();
    }
    world.projected.set(shard, 7);
    send(&node).await.unwrap().unwrap();
    assert_eq!(world.head(&stream).await, 8);
}
