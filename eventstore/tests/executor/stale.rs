//! Nodes whose hot state is old: they accept what was just allowed, and refuse nothing on old knowledge.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use domain::ConversationId;
use domain::conversation::{Command, Error, reads};
use domain::testing::user;
use eventstore::Stream;
use eventstore::execute::{ExecuteError, Outcome};

use super::history::History;
use super::logs::Watched;
use super::world::{World, conversation, ordinal, tenant};

on_both_logs! {
    who_was_just_added_sends_through_a_stale_node,
    a_refusal_and_a_no_op_rest_on_a_confirmed_head,
    a_refusal_is_answered_while_another_node_appends_all_the_time,
    a_direct_conversation_is_created_once_by_two_nodes,
    marking_as_read_through_a_stale_node,
}

async fn who_was_just_added_sends_through_a_stale_node(world: World) {
    let (fresh, stale) = (world.node(), world.another_node().await);
    let stream = conversation(1);
    fresh.found(&stream, &["ann"]).await;
    for n in 0..50 {
        let member = format!("m{n}");
        // The stale node holds the state in which this is right.
        let refused = stale.send(&stream, &member, "too early").await;
        assert_eq!(refused, Err(ExecuteError::Refused(Error::NotFound)));
        fresh.add(&stream, "ann", &member).await.unwrap();
        stale.send(&stream, &member, &member).await.unwrap();
    }
    assert_eq!(History::of(&world, &stream).await.texts().len(), 50);
}

async fn a_refusal_and_a_no_op_rest_on_a_confirmed_head(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann", "bob"]).await;
    let position = node.send(&stream, "ann", "hello").await.unwrap().position();
    let heads = || log.heads.load(SeqCst);
    let (before, appends) = (heads(), log.appends.load(SeqCst));

    let refused = node.send(&stream, "eve", "hello").await;
    assert_eq!(refused, Err(ExecuteError::Refused(Error::NotFound)));
    assert_eq!(heads(), before + 1, "asked before it was refused");
    let unchanged = node.add(&stream, "ann", "bob").await;
    assert_eq!(unchanged, Ok(Outcome::Unchanged { position }));
    assert_eq!(heads(), before + 2, "asked before it was called done");
    assert_eq!(log.appends.load(SeqCst), appends);
}

async fn a_refusal_is_answered_while_another_node_appends_all_the_time(world: World) {
    let (busy, other) = (world.node(), world.another_node().await);
    let stream = conversation(1);
    busy.found(&stream, &["ann"]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn({
        let (stop, stream) = (Arc::clone(&stop), stream.clone());
        async move {
            while !stop.load(SeqCst) {
                busy.send_many(&stream, "ann", 20).await;
            }
        }
    });
    let start = Instant::now();
    for _ in 0..50 {
        let refused = other.send(&stream, "eve", "hello").await;
        assert_eq!(refused, Err(ExecuteError::Refused(Error::NotFound)));
        let unchanged = other.add(&stream, "ann", "ann").await;
        assert!(
            matches!(unchanged, Ok(Outcome::Unchanged { .. })),
            "{unchanged:?}"
        );
    }
    let took = start.elapsed();
    stop.store(true, SeqCst);
    sending.await.unwrap();
    assert!(took < Duration::from_secs(10), "a hundred answers took {took:?}");
}

async fn a_direct_conversation_is_created_once_by_two_nodes(world: World) {
    let (one, other) = (world.node(), world.another_node().await);
    for n in 0..200 {
        let name = format!("u{n}");
        let stream = Stream::Conversation(
            tenant(),
            ConversationId::direct(&tenant(), &user("ann"), &user(&name)),
        );
        let (of_ann, of_the_other) = tokio::join!(
            one.execute(&stream, "ann", None, Command::CreateDirect { with: user(&name) }),
            other.execute(&stream, &name, None, Command::CreateDirect { with: user("ann") }),
        );
        let (of_ann, of_the_other) = (of_ann.unwrap(), of_the_other.unwrap());
        assert_eq!(of_ann.position(), of_the_other.position());
        let created = [&of_ann, &of_the_other]
            .into_iter()
            .filter(|done| matches!(done, Outcome::Appended { .. }))
            .count();
        assert_eq!(created, 1);
        assert_eq!(History::of(&world, &stream).await.events().count(), 1);
    }
}

async fn marking_as_read_through_a_stale_node(world: World) {
    let (fresh, stale) = (world.node(), world.another_node().await);
    let stream = conversation(1);
    fresh.found(&stream, &["ann", "bob"]).await;
    for n in 1..=20 {
        fresh.send(&stream, "ann", "hello").await.unwrap();
        let marked = stale
            .mark(&stream, "bob", reads::Command::MarkRead(None))
            .await
            .unwrap();
        let newest = reads::Event::ReadMarked {
            member: user("bob"),
            up_to: ordinal(n),
        };
        assert_eq!(
            marked.event,
            Some(newest),
            "everything there is includes what another node took"
        );
    }
}
