//! Commands that are larger than a record: they take effect at once or not at all.

use std::sync::atomic::Ordering::SeqCst;

use domain::conversation::{Command, MAX_MEMBERS_AT_ONCE};
use domain::permission::Role;
use eventstore::execute::Outcome;
use eventstore::log::MAX_COMMIT_BYTES;

use super::history::History;
use super::logs::Watched;
use super::world::{World, about, conversation, tag, users};

on_both_logs! {
    ten_thousand_join_at_once,
    of_a_command_that_was_cut_short_nothing_is_there,
    who_comes_in_between_is_taken_into_account,
    a_part_whose_answer_was_lost_is_written_again,
}

/// The longest names there are.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:0>128}")).collect()
}

fn add(count: usize) -> Command {
    let names = names(count);
    Command::AddMembers {
        members: users(&names.iter().map(String::as_str).collect::<Vec<_>>()),
        role: Role::Member,
    }
}

async fn ten_thousand_join_at_once(world: World) {
    let node = world.node();
    let (group, founded) = (conversation(1), conversation(2));
    node.found(&group, &["ann"]).await;
    let done = node
        .execute(
            &group,
            "ann",
            Some(tag("ann", "all", "of them")),
            add(MAX_MEMBERS_AT_ONCE),
        )
        .await
        .unwrap();
    let names = names(MAX_MEMBERS_AT_ONCE);
    let command = Command::CreateGroup {
        members: users(&names.iter().map(String::as_str).collect::<Vec<_>>()),
        about: about(),
    };
    node.execute(&founded, "ann", None, command).await.unwrap();
    for stream in [&group, &founded] {
        // Checks that no record is over the cap, and all that is true of every stream.
        let history = History::of(&world, stream).await;
        assert_eq!(history.state().members().len(), MAX_MEMBERS_AT_ONCE + 1);
        assert!(history.sizes.iter().any(|size| *size > MAX_COMMIT_BYTES / 3));
        let state = world.node().state(stream).await.unwrap();
        assert_eq!(state, history.state(), "another node folds the same");
    }
    // A repeat, here and elsewhere.
    for node in [node, world.another_node().await] {
        let again = node
            .execute(
                &group,
                "ann",
                Some(tag("ann", "all", "of them")),
                add(MAX_MEMBERS_AT_ONCE),
            )
            .await;
        let position = done.position();
        assert_eq!(again, Ok(Outcome::Repeated { position }));
    }
}

async fn of_a_command_that_was_cut_short_nothing_is_there(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann"]).await;
    let gate = log.gate.clone().write_owned().await;
    let begun = tokio::spawn({
        let (node, stream) = (node.clone(), stream.clone());
        async move {
            node.execute(&stream, "ann", Some(tag("ann", "all", "of them")), add(5_000))
                .await
        }
    });
    // One part after the other is let through, and then its node dies.
    let (mut gate, before) = (Some(gate), log.appends.load(SeqCst));
    while log.appends.load(SeqCst) < before + 3 {
        drop(gate.take());
        gate = Some(log.gate.clone().write_owned().await);
    }
    log.silent.store(true, SeqCst);
    drop(gate);
    begun.abort();
    let history = History::of(&world, &stream).await;
    assert!(history.commits.len() >= 3, "parts of it are there");
    assert_eq!(history.state().members().len(), 1);

    let other = world.another_node().await;
    other.send(&stream, "ann", "and on it goes").await.unwrap();
    other
        .execute(&stream, "ann", Some(tag("ann", "all", "of them")), add(5_000))
        .await
        .unwrap();
    let history = History::of(&world, &stream).await;
    assert_eq!(history.state().members().len(), 5_001);
    assert_eq!(history.texts(), ["and on it goes"]);
}

async fn who_comes_in_between_is_taken_into_account(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let other = world.another_node().await;
    let stream = conversation(1);
    node.found(&stream, &["ann", "ben"]).await;
    let interlude = {
        let stream = stream.clone();
        async move {
            let remove = Command::RemoveMember {
                member: users(&["ben"])[0].clone(),
            };
            other.execute(&stream, "ann", None, remove).await.unwrap();
        }
    };
    // After the first part.
    log.lose_next_answer_after(interlude);
    node.execute(&stream, "ann", None, add(5_000)).await.unwrap();
    let state = History::of(&world, &stream).await.state();
    assert_eq!(state.members().len(), 5_001);
    assert!(state.member(&users(&["ben"])[0]).is_err());
}

async fn a_part_whose_answer_was_lost_is_written_again(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann"]).await;
    log.lose_next_answer_after(async {});
    node.execute(&stream, "ann", None, add(5_000)).await.unwrap();
    let history = History::of(&world, &stream).await;
    assert_eq!(history.state().members().len(), 5_001);
}
