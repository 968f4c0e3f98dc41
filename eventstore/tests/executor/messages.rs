//! Commands about single messages: decided on what the read model knows, and on all that it does not know yet.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use domain::conversation::{Command, Error, Event, Facts};
use domain::values::{Content, Emoji};
use eventstore::Stream;
use eventstore::envelope;
use eventstore::execute::{ExecuteError, Outcome};
use futures::future::join_all;
use rand::RngExt;

use super::history::History;
use super::world::{Done, Node, Result, World, conversation, ordinal};

on_both_logs! {
    right_after_the_acknowledgement,
    out_of_the_read_model,
    at_once_on_two_nodes,
    while_the_read_model_is_away,
    beyond_a_snapshot,
}

const EMOJI: [&str; 3] = ["👍", "❤️", "party"];

fn edit(message: u64, text: &str) -> Command {
    Command::EditMessage {
        message: ordinal(message),
        content: Content::parse(text).unwrap(),
        within: None,
    }
}

fn delete(message: u64) -> Command {
    Command::DeleteMessage {
        message: ordinal(message),
    }
}

fn toggle(message: u64, emoji: &str) -> Command {
    Command::ToggleReaction {
        message: ordinal(message),
        emoji: Emoji::parse(emoji).unwrap(),
    }
}

async fn done(node: &Node, stream: &Stream, actor: &str, command: Command) -> Result<Done> {
    node.execute(stream, actor, None, command).await
}

/// Whether a toggle added the reaction.
fn is_added(done: Result<Done>) -> bool {
    let Ok(Outcome::Appended { events, .. }) = done else {
        panic!("not appended: {done:?}")
    };
    matches!(events[..], [Event::ReactionAdded(_)])
}

/// Ann, the owner, and Bob; Bob has sent so many messages.
async fn talked(world: &World, messages: usize) -> (Node, Stream) {
    let (node, stream) = (world.node(), conversation(1));
    node.found(&stream, &["ann", "bob", "cid"]).await;
    node.send_many(&stream, "bob", messages).await;
    (node, stream)
}

/// Everything that must be so of a message whose fate is decided.
async fn assert_every_rule(node: &Node, stream: &Stream) {
    assert_eq!(
        done(node, stream, "ann", edit(1, "mine")).await,
        Err(ExecuteError::Refused(Error::NotTheAuthor))
    );
    assert!(done(node, stream, "bob", edit(1, "better")).await.is_ok());
    assert!(is_added(done(node, stream, "ann", toggle(1, "👍")).await));
    assert!(is_added(done(node, stream, "bob", toggle(1, "👍")).await));
    assert!(!is_added(done(node, stream, "ann", toggle(1, "👍")).await));
    assert_eq!(
        done(node, stream, "cid", delete(1)).await,
        Err(ExecuteError::Refused(Error::Forbidden))
    );
    assert!(done(node, stream, "bob", delete(1)).await.is_ok());
    assert!(matches!(
        done(node, stream, "ann", delete(1)).await,
        Ok(Outcome::Unchanged { .. })
    ));
    for command in [edit(1, "again"), toggle(1, "👍")] {
        let refused = done(node, stream, "bob", command).await;
        assert_eq!(refused, Err(ExecuteError::Refused(Error::Deleted)));
    }
    assert_eq!(
        done(node, stream, "bob", edit(99, "none")).await,
        Err(ExecuteError::Refused(Error::NoSuchMessage(ordinal(99))))
    );
}

async fn right_after_the_acknowledgement(world: World) {
    let (node, stream) = talked(&world, 1).await;
    assert_every_rule(&node, &stream).await;
}

async fn out_of_the_read_model(world: World) {
    let (_, stream) = talked(&world, 3).await;
    world.project_all().await;
    assert_every_rule(&world.node(), &stream).await;
}

/// Two nodes toggle the same reactions as fast as they can, while a third deletes some of the messages.
async fn at_once_on_two_nodes(world: World) {
    const MESSAGES: u64 = 3;
    let (first, stream) = talked(&world, MESSAGES as usize).await;
    let nodes = [first, world.another_node().await];
    let toggles = (0..60).map(|n| {
        let (node, stream, world) = (&nodes[n % 2], &stream, &world);
        let (message, emoji) = (1 + (n as u64 / 2) % MESSAGES, EMOJI[n % EMOJI.len()]);
        async move {
            let actor = ["ann", "bob"][n / 2 % 2];
            match done(node, stream, actor, toggle(message, emoji)).await {
                Ok(_) | Err(ExecuteError::Refused(Error::Deleted)) => {}
                other => panic!("{other:?}"),
            }
            if n == 30 {
                world.project_all().await;
                done(node, stream, "bob", delete(2)).await.unwrap();
            }
        }
    });
    join_all(toggles).await;
    assert_possible(&world, &stream).await;
}

async fn while_the_read_model_is_away(world: World) {
    let (node, stream) = talked(&world, 300).await;
    let snapshot = world.snapshots.at_version(&stream, 256).await;
    world.project_all().await;
    let fresh = world.node();
    world.facts.away.store(true, SeqCst);
    let before = tokio::join!(
        done(&fresh, &stream, "bob", edit(1, "old")),
        fresh.send(&stream, "ann", "beside"),
    );
    assert!(snapshot.head > 1 && matches!(before.0, Err(ExecuteError::Unavailable(_))));
    assert!(before.1.is_ok(), "a send beside it is not held up");
    // What was sent after the snapshot is known, whatever the read model does.
    let newest = node.state(&stream).await.unwrap().last_ordinal();
    done(&fresh, &stream, "ann", edit(newest, "better"))
        .await
        .unwrap();
    world.facts.away.store(false, SeqCst);
    assert_possible(&world, &stream).await;
}

/// A node that starts from a snapshot reads what lies between the read model and that snapshot.
async fn beyond_a_snapshot(world: World) {
    let (node, stream) = talked(&world, 1).await;
    world.project_all().await;
    done(&node, &stream, "ann", toggle(1, "👍")).await.unwrap();
    done(&node, &stream, "cid", toggle(1, "👍")).await.unwrap();
    node.send_many(&stream, "bob", 300).await;
    world.snapshots.at_version(&stream, 256).await;
    let fresh = world.node();
    assert!(!is_added(done(&fresh, &stream, "ann", toggle(1, "👍")).await));
    assert!(is_added(done(&fresh, &stream, "ann", toggle(1, "👍")).await));
    done(&fresh, &stream, "bob", delete(1)).await.unwrap();
    let refused = done(&node, &stream, "ann", toggle(1, "👍")).await;
    assert_eq!(refused, Err(ExecuteError::Refused(Error::Deleted)));
    assert_possible(&world, &stream).await;
}

/// Commands in any order, with nodes that come and go and a read model that lags: every event follows from
/// those before it.
#[tokio::test]
async fn any_order_with_a_read_model_that_lags() {
    for _ in 0..30 {
        let world = World::in_memory();
        let (mut node, stream) = talked(&world, 4).await;
        for _ in 0..120 {
            let mut rng = rand::rng();
            let (message, actor) = (
                rng.random_range(1..=6),
                ["ann", "bob", "cid"][rng.random_range(0..3)],
            );
            let emoji = EMOJI[rng.random_range(0..EMOJI.len())];
            let step = rng.random_range(0..20);
            match step {
                0 => node = world.node(),
                1 => {
                    let end = world.log.end(0).await.unwrap();
                    let up_to = rng.random_range(0..=end);
                    world.facts.project(&*world.log, &world.codec, 0, up_to).await;
                    world.projected.raise(0, world.facts.checkpoint(0));
                }
                2 => drop(node.send(&stream, actor, "hi").await.unwrap()),
                3 => drop(done(&node, &stream, actor, delete(message)).await),
                4 => drop(done(&node, &stream, actor, edit(message, "new")).await),
                _ => drop(done(&node, &stream, actor, toggle(message, emoji)).await),
            }
        }
        assert_possible(&world, &stream).await;
    }
}

/// Nothing happened to a message that was deleted, and reactions came and went in turns.
async fn assert_possible(world: &World, stream: &Stream) {
    let mut messages: HashMap<_, Option<Facts>> = HashMap::new();
    let history = History::of(world, stream).await;
    for recorded in history.commits.iter().flat_map(|commit| &commit.events) {
        let envelope::Event::Conversation(event) = &recorded.event else {
            continue;
        };
        let has = |messages: &HashMap<_, Option<Facts>>, reaction: &domain::conversation::Reaction| {
            let facts: &Facts = messages[&reaction.message].as_ref().unwrap();
            assert!(!facts.is_deleted, "a reaction to what was deleted");
            let emoji = reaction.emoji.readable().unwrap();
            facts
                .reactions
                .get(&reaction.user)
                .is_some_and(|of| of.contains(emoji))
        };
        match event {
            Event::ReactionAdded(reaction) => assert!(!has(&messages, reaction), "there twice"),
            Event::ReactionRemoved(reaction) => assert!(has(&messages, reaction), "was not there"),
            Event::MessageEdited(edit) => {
                let facts = messages[&edit.message].as_ref().unwrap();
                assert!(!facts.is_deleted && facts.sender == edit.sender);
            }
            Event::MessageDeleted { message, .. } => {
                assert!(!messages[message].as_ref().unwrap().is_deleted, "deleted twice");
            }
            _ => {}
        }
        if let Some((message, change)) = event.fact_change() {
            Facts::apply(messages.entry(message).or_default(), &change);
        }
    }
}
