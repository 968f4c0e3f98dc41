//! A rebuild gives what the live projector gave, while that goes on.

use std::sync::Arc;

use domain::testing::user;
use eventstore::codec::Codec;
use eventstore::log::EventLog;
use eventstore::progress::Progress;
use projections::contract::{History, Home, tenant};
use projections::{ReadModel, rebuild};

use crate::memory_log::MemoryLog;
use crate::written::{Keys, Running, write};

pub(crate) async fn a_rebuild_beside_a_live_projector_loses_and_doubles_nothing<H: Home>() {
    let (log, codec) = (Arc::new(MemoryLog::new(2)), Codec::new(Arc::new(Keys::default())));
    let home = H::fresh().await;
    let store = home.open().await;
    let running = Running::start(&log, &codec, store.clone());
    let mut history = History::of(log.epoch(), 0);
    let ids: Vec<_> = (1..=4)
        .map(|number| history.group(number, &["ann", "bob"]))
        .collect();
    let writing = tokio::spawn({
        let (log, codec, mut history, ids) = (Arc::clone(&log), codec.clone(), history, ids.clone());
        async move {
            for round in 0..400 {
                history.send(ids[round % ids.len()], ["ann", "bob"][round % 3 % 2]);
                history.read(ids[round % ids.len()], "ann", 1 + round as u64 / 8);
                write(&log, &codec, &history.pending).await;
                history.pending.clear();
                tokio::task::yield_now().await;
            }
        }
    });
    let asking = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            loop {
                store.memberships(&tenant(), &user("ann")).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let shared: Arc<dyn EventLog> = log.clone();
    let mut rebuilds = 0;
    while !writing.is_finished() {
        let progress = Progress::new(2);
        rebuild(&*store, &shared, &codec, &progress).await.unwrap();
        rebuilds += 1;
    }
    assert!(rebuilds > 0);
    writing.await.unwrap();
    running.caught_up(&log).await;
    asking.abort();
    let live = home.dump().await;
    rebuild(&*store, &shared, &codec, &Progress::new(2))
        .await
        .unwrap();
    assert_eq!(home.dump().await, live);
    running.caught_up(&log).await;
    running.stop().await;
    assert_eq!(
        store
            .memberships(&tenant(), &user("ann"))
            .await
            .unwrap()
            .active()
            .count(),
        ids.len()
    );

    let other = H::fresh().await;
    let fresh = Running::start(&log, &codec, other.open().await);
    fresh.caught_up(&log).await;
    fresh.stop().await;
    assert_eq!(other.dump().await, live);
}

pub(crate) async fn a_rebuild_that_is_given_up_leaves_the_live_one_as_it_was<H: Home>() {
    let (log, codec) = (Arc::new(MemoryLog::new(1)), Codec::new(Arc::new(Keys::default())));
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::of(log.epoch(), 0);
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["ann"; 50]);
    write(&log, &codec, &history.pending).await;
    let running = Running::start(&log, &codec, store.clone());
    running.caught_up(&log).await;
    running.stop().await;
    let before = home.dump().await;
    let shared: Arc<dyn EventLog> = log.clone();
    // The log goes away half-way.
    log.fail_reads(1);
    assert!(
        rebuild(&*store, &shared, &codec, &Progress::new(1))
            .await
            .is_err()
    );
    assert_eq!(home.dump().await, before);
    // Whoever asked for it does not wait for it.
    for turns in 0..40 {
        let progress = Progress::new(1);
        let mut rebuilding = Box::pin(rebuild(&*store, &shared, &codec, &progress));
        for _ in 0..turns {
            if futures::poll!(&mut rebuilding).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(store.unread(&tenant(), &user("bob"), id).await.unwrap(), Some(50));
    drop(store);
    home.open().await;
    assert_eq!(home.dump().await, before);
}

pub(crate) async fn a_log_that_was_recreated_is_rebuilt_from<H: Home>() {
    let codec = Codec::new(Arc::new(Keys::default()));
    let (old, new) = (Arc::new(MemoryLog::new(1)), Arc::new(MemoryLog::new(1)));
    let home = H::fresh().await;
    let store = home.open().await;
    for (log, number) in [(&old, 1), (&new, 2)] {
        let mut history = History::of(log.epoch(), 0);
        history.group(number, &["ann"]);
        write(log, &codec, &history.pending).await;
    }
    let running = Running::start(&old, &codec, store.clone());
    running.caught_up(&old).await;
    running.stop().await;
    let shared: Arc<dyn EventLog> = new.clone();
    rebuild(&*store, &shared, &codec, &Progress::new(1))
        .await
        .unwrap();
    let running = Running::start(&new, &codec, store.clone());
    running.projector.verify().await.unwrap();
    running.caught_up(&new).await;
    running.stop().await;
    let known = store.memberships(&tenant(), &user("ann")).await.unwrap();
    let known: Vec<_> = known.active().collect();
    assert_eq!(known, [domain::ConversationId::from_bytes([2; 16])]);
}
