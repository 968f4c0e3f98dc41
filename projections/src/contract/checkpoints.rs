//! A batch and its checkpoint are one.

use domain::testing::user;
use eventstore::log::Epoch;

use super::{History, Home, at, tenant};
use crate::fold::{Changes, fold, keys};
use crate::intake::{IntakeError, take_in};
use crate::store::{ApplyError, Batch, ProjectionStore, ReadModel, StoreError};

/// Nothing was taken in yet.
pub async fn a_new_store_has_none<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    assert_eq!(store.checkpoint(0).await.unwrap(), None);
    assert!(
        store
            .memberships(&tenant(), &user("ann"))
            .await
            .unwrap()
            .checkpoints
            .is_empty()
    );
}

/// Shards are taken in apart from each other.
pub async fn a_batch_moves_its_shard_alone<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let epoch = Epoch::draw();
    let mut first = History::of(epoch, 0);
    let mut third = History::of(epoch, 2);
    first.group(1, &["ann"]);
    third.group(2, &["ann"]);
    third.group(3, &["ann"]);
    third.settle(&*store).await;
    assert_eq!(store.checkpoint(2).await.unwrap(), Some(third.checkpoint));
    assert_eq!(store.checkpoint(0).await.unwrap(), None);
    first.settle(&*store).await;
    assert_eq!(store.checkpoint(0).await.unwrap(), Some(first.checkpoint));
    let memberships = store.memberships(&tenant(), &user("ann")).await.unwrap();
    assert_eq!(memberships.checkpoints, [first.checkpoint, third.checkpoint]);
    assert_eq!(memberships.conversations.len(), 3);
}

async fn refused<H: Home>(store: &H::Store, batch: &Batch) {
    let error = store.apply(batch).await.unwrap_err();
    let (shard, expected) = (batch.from.shard, batch.from.sequence);
    assert!(
        matches!(error, ApplyError::Superseded { shard: s, expected: e } if (s, e) == (shard, expected)),
        "{error}"
    );
}

/// A second time it is not where it was any more.
pub async fn a_batch_is_applied_once<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let start = history.checkpoint;
    history.group(1, &["ann"]);
    history.settle(&*store).await;
    let first = Batch {
        from: start,
        to: history.checkpoint,
        changes: Changes::default(),
    };
    refused::<H>(&store, &first).await;
    let middle = history.checkpoint;
    history.group(2, &["ann"]);
    history.settle(&*store).await;
    refused::<H>(&store, &first).await;
    let second = Batch {
        from: middle,
        to: history.checkpoint,
        changes: Changes::default(),
    };
    refused::<H>(&store, &second).await;
    assert_eq!(store.checkpoint(0).await.unwrap(), Some(history.checkpoint));
}

/// The rows it finds are newer than where it began, and it does not take that for damage.
pub async fn who_was_overtaken_is_told_so<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann"]);
    let (start, first) = (history.checkpoint, history.pending.clone());
    history.settle(&*store).await;
    let (middle, mut overtaken) = (history.checkpoint, history.clone());
    overtaken.join(id, &["bob"]);
    overtaken.send(id, "bob");
    history.join(id, &["bob"]);
    history.leave(id, "bob", None);
    history.settle(&*store).await;
    for (from, commits) in [(start, first), (middle, overtaken.pending)] {
        let error = take_in(&*store, from, commits, at(0)).await.unwrap_err();
        assert!(
            matches!(error, IntakeError::Apply(ApplyError::Superseded { .. })),
            "{error}"
        );
    }
    assert_eq!(store.checkpoint(0).await.unwrap(), Some(history.checkpoint));
}

/// The same sequence of another incarnation means nothing here.
pub async fn a_batch_of_another_log_is_refused<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    history.group(1, &["ann"]);
    history.settle(&*store).await;
    for sequence in [0, 1] {
        let mut from = History::default().checkpoint;
        from.sequence = sequence;
        let mut to = from;
        to.sequence = 2;
        refused::<H>(
            &store,
            &Batch {
                from,
                to,
                changes: Changes::default(),
            },
        )
        .await;
    }
    assert_eq!(store.checkpoint(0).await.unwrap(), Some(history.checkpoint));
}

/// Rows and checkpoint change together or not at all.
pub async fn a_batch_that_is_refused_changes_nothing<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.settle(&*store).await;
    let before = home.dump().await;
    let mut beyond = history.clone();
    beyond.send(id, "bob");
    let commits = std::mem::take(&mut beyond.pending);
    let rows = ProjectionStore::load(&*store, &keys(&commits)).await.unwrap();
    let changes = fold(rows, commits, at(0)).unwrap();
    assert_eq!((changes.messages.len(), changes.marks.len()), (1, 1));
    let mut from = history.checkpoint;
    from.sequence += 1;
    let mut to = from;
    to.sequence += 1;
    refused::<H>(&store, &Batch { from, to, changes }).await;
    assert_eq!(home.dump().await, before);
}

/// Trying the same again would not help, and the store says so.
pub async fn a_batch_that_breaks_the_tables_is_damage<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann"]);
    history.settle(&*store).await;
    history.send(id, "ann");
    let rows = ProjectionStore::load(&*store, &keys(&history.pending))
        .await
        .unwrap();
    let mut changes = fold(rows, history.pending.clone(), at(0)).unwrap();
    changes.messages.push(changes.messages[0].clone());
    let from = history.checkpoint;
    let mut to = from;
    to.sequence = 2;
    let before = home.dump().await;
    let error = store.apply(&Batch { from, to, changes }).await.unwrap_err();
    assert!(
        matches!(error, ApplyError::Store(StoreError::Damaged(_))),
        "{error}"
    );
    assert_eq!(home.dump().await, before);
    history.settle(&*store).await;
}

/// A restart goes on where it was.
pub async fn what_was_applied_outlives_the_process<H: Home>() {
    let home = H::fresh().await;
    let mut history = History::default();
    let store = home.open().await;
    let id = history.group(1, &["ann", "bob"]);
    history.settle(&*store).await;
    drop(store);
    let store = home.open().await;
    assert_eq!(store.checkpoint(0).await.unwrap(), Some(history.checkpoint));
    history.send(id, "bob");
    history.settle(&*store).await;
    assert_eq!(store.unread(&tenant(), &user("ann"), id).await.unwrap(), Some(1));
}
