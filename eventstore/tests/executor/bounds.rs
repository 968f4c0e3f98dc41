//! What is bounded: a commit, a turn, a queue.

use std::sync::atomic::Ordering::SeqCst;

use eventstore::execute::{ExecuteError, Outcome};
use eventstore::log::MAX_COMMIT_BYTES;
use futures::future::join_all;

use super::history::History;
use super::logs::Watched;
use super::world::{World, about, conversation, imported, message};

on_both_logs! {
    large_messages_become_several_commits,
    a_command_over_the_cap_is_refused_and_the_next_is_taken,
    what_queues_becomes_one_commit,
    a_full_queue_refuses_and_loses_nothing,
}

/// The longest text there is, in characters of four bytes.
fn longest() -> String {
    "😀".repeat(10_000)
}

async fn large_messages_become_several_commits(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann"]).await;
    let gate = log.gate.clone().write_owned().await;
    let large = longest();
    let sends = join_all((0..40).map(|_| node.send(&stream, "ann", &large)));
    let (sent, ()) = tokio::join!(sends, async move { drop(gate) });
    assert!(sent.iter().all(Result::is_ok));
    let history = History::of(&world, &stream).await;
    assert_eq!(history.texts().len(), 40);
    // The group's founding, and at most four messages a commit.
    assert!(
        (11..=16).contains(&history.commits.len()),
        "{} commits",
        history.commits.len()
    );
}

async fn a_command_over_the_cap_is_refused_and_the_next_is_taken(world: World) {
    let node = world.node();
    let stream = conversation(1);
    let large = longest();
    let lines: Vec<_> = (0..120).map(|line| imported(line, "ann", &large)).collect();
    assert_eq!(
        node.import(&stream, lines.clone()).await,
        Err(ExecuteError::TooLarge)
    );
    assert_eq!(world.head(&stream).await, 0, "nothing of it is there");
    let fits = lines[..4].to_vec();
    assert!(matches!(
        node.import(&stream, fits).await,
        Ok(Outcome::Appended { .. })
    ));
    // In one turn with others: those before it and after it are taken.
    let (before, refused, after) = tokio::join!(
        node.send(&stream, "ann", "before"),
        node.import(
            &stream,
            (10..130).map(|line| imported(line, "ann", &large)).collect()
        ),
        node.send(&stream, "ann", "after"),
    );
    assert_eq!(refused, Err(ExecuteError::TooLarge));
    assert!(before.is_ok() && after.is_ok());
    let history = History::of(&world, &stream).await;
    assert_eq!(history.texts()[4..], ["before", "after"]);
    assert!(history.sizes.iter().any(|size| *size > MAX_COMMIT_BYTES / 2));
}

async fn what_queues_becomes_one_commit(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann"]).await;
    let appends = log.appends.load(SeqCst);
    let gate = log.gate.clone().write_owned().await;
    let sends = join_all((0..200).map(|_| node.send(&stream, "ann", "hello")));
    let (sent, ()) = tokio::join!(sends, async move { drop(gate) });
    assert!(sent.iter().all(Result::is_ok));
    let taken = log.appends.load(SeqCst) - appends;
    assert!(taken <= 3, "200 commands took {taken} appends");
}

async fn a_full_queue_refuses_and_loses_nothing(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let (stream, other) = (conversation(1), conversation(2));
    node.found(&stream, &["ann"]).await;
    node.found(&other, &["ann"]).await;
    let gate = log.gate.clone().write_owned().await;
    let sends = join_all((0..2_000).map(|_| node.send(&stream, "ann", "hello")));
    let create = domain::conversation::Command::CreateGroup {
        members: Vec::new(),
        about: about(),
    };
    let no_append = node.execute(&other, "ann", None, create);
    let (sent, refused, ()) = tokio::join!(sends, no_append, async move {
        drop(gate);
    });
    assert_eq!(
        refused,
        Err(ExecuteError::Refused(domain::conversation::Error::Exists))
    );
    let taken = sent.iter().filter(|sent| sent.is_ok()).count();
    let full = sent
        .iter()
        .filter(|sent| **sent == Err(ExecuteError::Overloaded))
        .count();
    assert_eq!(taken + full, 2_000);
    assert!(full >= 2_000 - 1_024 - 2 * 256, "{full} were refused");
    assert!(taken >= 1_024, "{taken} were taken");
    assert_eq!(History::of(&world, &stream).await.texts().len(), taken);
    node.execute(&stream, "ann", None, message("and on it goes"))
        .await
        .unwrap();
}
