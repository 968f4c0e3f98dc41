//! A stream with something in it that this version cannot decode stands still, and it alone.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use domain::CommitId;
use domain::conversation::reads;
use eventstore::execute::ExecuteError;
use eventstore::{Append, Expected, Stream};

use super::stores::Keys;
use super::world::{World, conversation, lane};

on_both_logs! {
    a_stream_that_cannot_be_decoded_stands_still,
    a_hot_stream_stands_still_when_a_newer_version_wrote_to_it,
}

/// Appends what a later version might.
async fn append_unknown(world: &World, stream: &Stream, id: u8) {
    let expected = Expected::Head(world.head(stream).await);
    let commit_id = CommitId::from_bytes([id; 16]);
    let event = r#"{"type":"chat.message.vanished.v7","version":9,"data":{}}"#;
    let payload = format!(r#"{{"v":1,"id":"{commit_id}","time":1,"events":[{event}]}}"#).into();
    world
        .log
        .append(Append {
            stream: stream.clone(),
            expected,
            commit_id,
            payload,
        })
        .await
        .unwrap();
}

fn is_undecodable<T, E>(result: &Result<T, ExecuteError<E>>) -> bool {
    matches!(result, Err(ExecuteError::Undecodable(_)))
}

async fn a_stream_that_cannot_be_decoded_stands_still(world: World) {
    let (broken, sound) = (conversation(1), conversation(2));
    let writing = world.node();
    writing.found(&broken, &["ann"]).await;
    append_unknown(&world, &broken, 1).await;
    let head = world.head(&broken).await;
    let node = world.node();
    node.found(&sound, &["ann"]).await;
    for _ in 0..3 {
        assert!(is_undecodable(&node.send(&broken, "ann", "hello").await));
        assert!(is_undecodable(&node.send(&broken, "eve", "hello").await));
        assert!(is_undecodable(&node.state(&broken).await));
        assert!(is_undecodable(
            &node.mark(&broken, "ann", reads::Command::MarkRead(None)).await
        ));
        node.send(&sound, "ann", "hello").await.unwrap();
    }
    assert_eq!(world.head(&broken).await, head, "nothing is appended to it");
}

async fn a_hot_stream_stands_still_when_a_newer_version_wrote_to_it(world: World) {
    let stream = conversation(1);
    let node = world.node();
    node.found(&stream, &["ann"]).await;
    node.send(&stream, "ann", "hello").await.unwrap();
    append_unknown(&world, &stream, 1).await;
    let head = world.head(&stream).await;
    for _ in 0..3 {
        assert!(is_undecodable(&node.send(&stream, "ann", "hello").await));
        assert!(is_undecodable(&node.send(&stream, "eve", "hello").await));
        assert!(is_undecodable(&node.state(&stream).await));
    }
    assert_eq!(world.head(&stream).await, head, "nothing is appended to it");
}

#[tokio::test]
async fn a_lane_of_marks_that_cannot_be_decoded_stands_still() {
    let world = World::in_memory();
    let stream = conversation(1);
    let node = world.node();
    node.found(&stream, &["ann"]).await;
    node.send(&stream, "ann", "hello").await.unwrap();
    append_unknown(&world, &lane(&stream), 1).await;
    let head = world.head(&lane(&stream)).await;
    assert!(is_undecodable(
        &node.mark(&stream, "ann", reads::Command::MarkRead(None)).await
    ));
    assert_eq!(
        world.head(&lane(&stream)).await,
        head,
        "nothing is appended to it"
    );
}

#[tokio::test]
async fn keys_that_are_away_are_no_damage() {
    let keys = Arc::new(Keys::default());
    let world = World::on(World::in_memory().log, keys.clone());
    let stream = conversation(1);
    let node = world.node();
    node.found(&stream, &["ann", "bob"]).await;
    node.send(&stream, "ann", "one").await.unwrap();
    keys.away.store(true, SeqCst);
    // A key that was never used here, for writing; then a stream that was never opened here, for reading.
    let unavailable = |result| matches!(result, Err(ExecuteError::KeysAway(_)));
    assert!(unavailable(node.send(&stream, "bob", "two").await));
    let cold = World::on(world.log.clone(), keys.clone());
    assert!(unavailable(cold.node().send(&stream, "ann", "two").await));
    keys.away.store(false, SeqCst);
    node.send(&stream, "bob", "two").await.unwrap();
    cold.node().send(&stream, "ann", "three").await.unwrap();
    assert_eq!(
        super::history::History::of(&world, &stream).await.texts(),
        ["one", "two", "three"]
    );
}
