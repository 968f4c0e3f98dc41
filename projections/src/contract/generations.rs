//! A new generation is filled beside the live one and takes its place.

use std::sync::Arc;

use domain::testing::user;

use super::{History, Home, tenant};
use crate::rebuild::Generations;
use crate::store::{ProjectionStore, ReadModel, StoreError};

/// What it holds is what is asked from then on, and where it stands is where the projector goes on.
pub async fn a_rebuilt_generation_takes_the_place<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut old = History::default();
    let before = old.group(1, &["ann"]);
    old.settle(&*store).await;
    let mut new = History::default();
    let id = new.group(2, &["ann"]);
    let mut next = store.begin().await.unwrap();
    new.settle(&*next.store()).await;
    assert_eq!(
        store.checkpoint(0).await.unwrap(),
        Some(old.checkpoint),
        "the live one goes on"
    );
    let active = async || {
        store
            .active_conversations(&tenant(), &user("ann"))
            .await
            .unwrap()
            .to_vec()
    };
    assert_eq!(active().await, [before]);
    assert_eq!(next.freeze().await.unwrap(), [old.checkpoint]);
    next.swap().await.unwrap();
    assert_eq!(active().await, [id]);
    assert_eq!(store.checkpoint(0).await.unwrap(), Some(new.checkpoint));
    new.send(id, "ann");
    new.settle(&*store).await;
    let memberships = store.memberships(&tenant(), &user("ann")).await.unwrap();
    assert_eq!(memberships.active().collect::<Vec<_>>(), [id]);
    assert_eq!(memberships.checkpoints, [new.checkpoint]);
    drop(store);
    let store = home.open().await;
    assert_eq!(store.checkpoint(0).await.unwrap(), Some(new.checkpoint));
    assert_eq!(
        store.memberships(&tenant(), &user("ann")).await.unwrap(),
        memberships
    );
}

/// And the next one begins empty.
pub async fn a_discarded_generation_leaves_no_trace<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut live = History::default();
    let id = live.group(1, &["ann"]);
    live.settle(&*store).await;
    let before = home.dump().await;
    let mut next = store.begin().await.unwrap();
    History::default().settle(&*next.store()).await;
    next.freeze().await.unwrap();
    next.discard().await.unwrap();
    // One that is only dropped, as in a crash.
    let next = store.begin().await.unwrap();
    let mut abandoned = History::default();
    abandoned.group(2, &["ann"]);
    abandoned.settle(&*next.store()).await;
    drop(next);
    let next = store.begin().await.unwrap();
    assert_eq!(next.store().checkpoint(0).await.unwrap(), None);
    drop(next);
    assert_eq!(home.dump().await, before);
    live.send(id, "ann");
    live.settle(&*store).await;
    drop(store);
    assert_eq!(
        home.open().await.checkpoint(0).await.unwrap(),
        Some(live.checkpoint)
    );
}

/// Two would fill the same place.
pub async fn there_is_one_rebuild_at_a_time<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let next = store.begin().await.unwrap();
    let Err(error) = store.begin().await else {
        panic!("a second rebuild began")
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    next.discard().await.unwrap();
    store.begin().await.unwrap().discard().await.unwrap();
}

/// Whoever asks meanwhile waits, and gets an answer of the new one.
pub async fn a_held_generation_is_asked_after_the_swap<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut new = History::default();
    let id = new.group(2, &["ann"]);
    let mut next = store.begin().await.unwrap();
    next.freeze().await.unwrap();
    let asking = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.memberships(&tenant(), &user("ann")).await.unwrap() }
    });
    new.settle(&*next.store()).await;
    tokio::task::yield_now().await;
    assert!(!asking.is_finished());
    next.swap().await.unwrap();
    assert_eq!(asking.await.unwrap().active().collect::<Vec<_>>(), [id]);
}
