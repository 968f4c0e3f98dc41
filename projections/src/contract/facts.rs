//! What the executor asks: carried-out commands and snapshots.

use domain::{CommandId, CommitId, Fingerprint, Timestamp};
use eventstore::envelope::CommandTag;
use eventstore::facts::{CommandFact, FactStore};
use eventstore::log::Epoch;
use eventstore::snapshot::{Snapshot, SnapshotStore};
use eventstore::subject::Stream;

use super::{History, Home, at, tenant};
use crate::store::ProjectionStore;

fn tag(id: u8, fingerprint: u8) -> CommandTag {
    CommandTag {
        id: CommandId::from_bytes([id; 16]),
        fingerprint: Fingerprint::from_bytes([fingerprint; 16]),
    }
}

fn fact(fingerprint: u8, sequence: u64) -> CommandFact {
    CommandFact {
        fingerprint: Fingerprint::from_bytes([fingerprint; 16]),
        sequence,
    }
}

/// In its own stream alone, and the checkpoint says what may be missing.
pub async fn a_command_is_known_with_its_checkpoint<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann"]);
    history.command = Some(tag(1, 10));
    history.send_all(id, &["ann", "ann"]);
    history.command = Some(tag(2, 20));
    history.send(id, "ann");
    let other = history.group(2, &["ann"]);
    let stream = Stream::Conversation(tenant(), id);
    let asked = [tag(1, 0).id, tag(2, 0).id, tag(3, 0).id];
    let facts = store.facts(0, &stream, &asked).await.unwrap();
    assert_eq!((facts.checkpoint, facts.commands.len()), (0, 0));
    history.settle(&*store).await;
    let facts = store.facts(0, &stream, &asked).await.unwrap();
    assert_eq!(facts.checkpoint, 4);
    assert_eq!(
        facts.commands,
        [(asked[0], fact(10, 2)), (asked[1], fact(20, 3))].into()
    );
    let elsewhere = store
        .facts(0, &Stream::Conversation(tenant(), other), &asked)
        .await
        .unwrap();
    assert_eq!((elsewhere.checkpoint, elsewhere.commands.len()), (4, 0));
    assert_eq!(store.facts(1, &stream, &[]).await.unwrap().checkpoint, 0);

    let mut all = store.command_ids(0, &stream, 2).await.unwrap();
    all.ids.as_mut().unwrap().sort_unstable();
    let mut known = vec![asked[0], asked[1]];
    known.sort_unstable();
    assert_eq!((all.checkpoint, all.ids), (4, Some(known)));
    let too_many = store.command_ids(0, &stream, 1).await.unwrap();
    assert_eq!((too_many.checkpoint, too_many.ids), (4, None));
    let none = store
        .command_ids(0, &Stream::Conversation(tenant(), other), 1)
        .await
        .unwrap();
    assert_eq!((none.checkpoint, none.ids), (4, Some(Vec::new())));
}

/// The lane of reads has no expectation, so that a lost acknowledgement may put a command there twice.
pub async fn the_first_of_a_repeated_command_stays<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send(id, "bob");
    for _ in 0..2 {
        for _ in 0..2 {
            history.command = Some(tag(1, 10));
            history.read(id, "ann", 1);
        }
        history.settle(&*store).await;
    }
    let facts = store
        .facts(0, &Stream::Reads(tenant(), id), &[tag(1, 0).id])
        .await
        .unwrap();
    assert_eq!(facts.commands, [(tag(1, 0).id, fact(10, 3))].into());
}

/// The oldest first, and none that is still needed.
pub async fn old_commands_are_pruned_a_few_at_once<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann"]);
    for number in 1..=9 {
        history.command = Some(tag(number, number));
        history.send(id, "ann");
    }
    history.settle(&*store).await;
    let known = async || {
        let asked: Vec<_> = (1..=9).map(|number| tag(number, 0).id).collect();
        let facts = store
            .facts(0, &Stream::Conversation(tenant(), id), &asked)
            .await
            .unwrap();
        let mut sequences: Vec<_> = facts.commands.values().map(|fact| fact.sequence).collect();
        sequences.sort_unstable();
        sequences
    };
    let before = at(7);
    assert_eq!(store.prune_commands(before, 3).await.unwrap(), 3);
    assert_eq!(known().await, [5, 6, 7, 8, 9, 10]);
    assert_eq!(store.prune_commands(before, 3).await.unwrap(), 2);
    assert_eq!(store.prune_commands(before, 3).await.unwrap(), 0);
    assert_eq!(known().await, [7, 8, 9, 10]);
}

fn snapshot(epoch: Epoch, head: u64) -> Snapshot {
    Snapshot {
        schema: "conversation.1".to_owned(),
        epoch,
        head,
        commit_id: CommitId::from_bytes([7; 16]),
        version: head * 2,
        time: Timestamp::from_millis(head.cast_signed()),
        state: format!(r#"{{"head":{head},"text":"đ\n"}}"#),
    }
}

/// An older one, which a slower node saves late, changes nothing.
pub async fn a_snapshot_is_kept_until_a_newer_one_comes<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let epoch = Epoch::draw();
    let mut history = History::default();
    let stream = Stream::Conversation(tenant(), history.group(1, &["ann"]));
    assert_eq!(SnapshotStore::load(&*store, &stream).await.unwrap(), None);
    for (saved, kept) in [(5, 5), (9, 9), (7, 9)] {
        store.save(&stream, &snapshot(epoch, saved)).await.unwrap();
        let found = SnapshotStore::load(&*store, &stream).await.unwrap();
        assert_eq!(found, Some(snapshot(epoch, kept)));
    }
    let other = Stream::Conversation(tenant(), history.group(2, &["ann"]));
    assert_eq!(SnapshotStore::load(&*store, &other).await.unwrap(), None);
}

/// Its head may be lower: it is of another log.
pub async fn a_snapshot_of_another_log_takes_the_place<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let stream = Stream::Conversation(tenant(), History::default().group(1, &["ann"]));
    store.save(&stream, &snapshot(Epoch::draw(), 9)).await.unwrap();
    let new = snapshot(Epoch::draw(), 1);
    store.save(&stream, &new).await.unwrap();
    assert_eq!(SnapshotStore::load(&*store, &stream).await.unwrap(), Some(new));
}
