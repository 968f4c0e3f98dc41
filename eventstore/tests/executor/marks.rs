//! Read marks: few commits under load, none lost, none for those who are no members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use domain::conversation::Error;
use domain::conversation::reads::{self, Marks};
use domain::testing::user;
use eventstore::contract::{Loss, LostAcks};
use eventstore::envelope::Event;
use eventstore::execute::ExecuteError;
use futures::future::join_all;

use super::history::History;
use super::logs::Watched;
use super::world::{World, conversation, lane, ordinal};

on_both_logs! {
    marks_of_many_members_become_few_commits,
    what_is_marked_unread_stays_so_under_load,
    marks_are_a_matter_of_members,
    time_never_goes_back,
    marks_whose_acknowledgement_was_lost_are_there_once,
}

/// The marks of every member, folded from the lane.
async fn marks(world: &World, conversation: &eventstore::Stream) -> BTreeMap<String, Marks> {
    let mut marks: BTreeMap<_, Marks> = BTreeMap::new();
    for commit in History::of(world, &lane(conversation)).await.commits {
        for recorded in commit.events {
            let Event::Read(event) = &recorded.event else {
                panic!("not a mark: {recorded:?}")
            };
            assert_eq!(recorded.actor.as_ref(), Some(event.member()));
            marks.entry(event.member().to_string()).or_default().apply(event);
        }
    }
    marks
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("m{n}")).collect()
}

async fn marks_of_many_members_become_few_commits(world: World) {
    let log = Watched::new(world.log.clone());
    let node = world.node_on(log.clone());
    let (stream, members) = (conversation(1), names(60));
    node.found(&stream, &members.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    node.send_many(&stream, "m0", 20).await;
    let before = log.appends.load(SeqCst);
    let gate = log.gate.clone().write_owned().await;
    let marking = (0..600).map(|n| {
        let up_to = Some(ordinal(n as u64 % 20 + 1));
        node.mark(&stream, &members[n % 60], reads::Command::MarkRead(up_to))
    });
    let (marked, ()) = tokio::join!(join_all(marking), async {
        // They queue behind the first.
        while log.appends.load(SeqCst) == before {
            tokio::task::yield_now().await;
        }
        drop(gate);
    });
    assert!(marked.iter().all(Result::is_ok));
    let lane = History::of(&world, &lane(&stream)).await;
    assert!(
        lane.commits.len() < 10,
        "600 marks took {} commits",
        lane.commits.len()
    );
    for (n, member) in members.iter().enumerate() {
        let highest = (n as u64 % 20 + 1)
            .max((n as u64 + 60) % 20 + 1)
            .max((n as u64 + 40) % 20 + 1);
        assert!(marks(&world, &stream).await[member].read >= highest);
    }
}

async fn what_is_marked_unread_stays_so_under_load(world: World) {
    let node = world.node();
    let (stream, members) = (conversation(1), names(20));
    node.found(&stream, &members.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    node.send_many(&stream, "m0", 20).await;
    let each = |member: &str| {
        let (node, stream, member) = (node.clone(), stream.clone(), member.to_owned());
        async move {
            let mut expected = Marks::default();
            for n in 0..30_u64 {
                let command = match n % 3 {
                    0 => reads::Command::MarkRead(Some(ordinal(n % 20 + 1))),
                    1 => reads::Command::MarkUnread(ordinal(n % 7 + 1)),
                    _ => reads::Command::MarkRead(Some(ordinal(n % 5 + 1))),
                };
                let marked = node.mark(&stream, &member, command).await.unwrap();
                expected.apply(&marked.event.unwrap());
            }
            expected
        }
    };
    let tasks: Vec<_> = members.iter().map(|member| tokio::spawn(each(member))).collect();
    let mut expected = BTreeMap::new();
    for (member, task) in members.iter().zip(tasks) {
        expected.insert(member.clone(), task.await.unwrap());
    }
    assert_eq!(marks(&world, &stream).await, expected);
}

async fn marks_are_a_matter_of_members(world: World) {
    let node = world.node();
    let stream = conversation(1);
    let not_found = Err(ExecuteError::Refused(Error::NotFound));
    assert_eq!(
        node.mark(&stream, "ann", reads::Command::MarkRead(None)).await,
        not_found
    );
    node.found(&stream, &["ann", "bob"]).await;
    let nothing_yet = node
        .mark(&stream, "bob", reads::Command::MarkRead(None))
        .await
        .unwrap();
    assert_eq!(nothing_yet.event, None);
    node.send_many(&stream, "ann", 3).await;
    assert_eq!(
        node.mark(&stream, "eve", reads::Command::MarkRead(None)).await,
        not_found
    );
    assert_eq!(
        node.mark(&stream, "bob", reads::Command::MarkRead(Some(ordinal(4))))
            .await,
        Err(ExecuteError::Refused(Error::NoSuchMessage(ordinal(4))))
    );
    assert_eq!(
        node.mark(&lane(&stream), "bob", reads::Command::MarkRead(None))
            .await,
        not_found,
        "a lane is not a conversation"
    );
    assert_eq!(world.head(&lane(&stream)).await, 0);
    let marked = node
        .mark(&stream, "bob", reads::Command::MarkRead(None))
        .await
        .unwrap();
    let newest = reads::Event::ReadMarked {
        member: user("bob"),
        up_to: ordinal(3),
    };
    assert_eq!(marked.event, Some(newest));
    assert_eq!(marked.position.sequence, world.head(&lane(&stream)).await);
    assert_eq!(marks(&world, &stream).await["bob"], Marks { read: 3, receipt: 3 });
}

async fn time_never_goes_back(world: World) {
    let stream = conversation(1);
    let mut node = world.node();
    node.found(&stream, &["ann", "bob"]).await;
    for n in 0..20 {
        world
            .clock
            .fetch_add(if n % 3 == 0 { 50_000 } else { -40_000 }, SeqCst);
        if n % 5 == 4 {
            node = world.node();
        }
        node.send(&stream, "ann", "hello").await.unwrap();
        node.mark(&stream, "bob", reads::Command::MarkRead(None))
            .await
            .unwrap();
    }
    let (messages, marks) = (
        History::of(&world, &stream).await,
        History::of(&world, &lane(&stream)).await,
    );
    assert_eq!((messages.commits.len(), marks.commits.len()), (21, 20));
    for (sent, read) in messages.commits[1..].iter().zip(&marks.commits) {
        assert!(sent.time <= read.time, "nothing is read before it is sent");
    }
}

async fn marks_whose_acknowledgement_was_lost_are_there_once(world: World) {
    let log = Arc::new(LostAcks::new(world.log.clone()));
    let node = world.node_on(log.clone());
    let stream = conversation(1);
    node.found(&stream, &["ann", "bob"]).await;
    node.send_many(&stream, "ann", 5).await;
    for loss in [Loss::Answer, Loss::Append, Loss::Late] {
        log.lose_next(loss);
        node.mark(&stream, "bob", reads::Command::MarkUnread(ordinal(3)))
            .await
            .unwrap();
        log.deliver_late().await;
    }
    let commits = History::of(&world, &lane(&stream)).await.commits;
    assert_eq!(commits.len(), 3);
}
