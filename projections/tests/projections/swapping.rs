//! Whoever else has the store open goes on, whenever a rebuilt generation takes the place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::testing::user;
use domain::{CommandId, MessageId};
use eventstore::codec::Codec;
use eventstore::facts::FactStore;
use eventstore::log::EventLog;
use eventstore::progress::Progress;
use eventstore::subject::Stream;
use projections::contract::{History, Home, NOW, list as range, ordinal, tenant};
use projections::view::{MessageRange, ReceiptRange};
use projections::{ProjectionStore, ReadModel, rebuild};

use crate::memory_log::MemoryLog;
use crate::written::{Keys, Running, write};

const SWAPS: usize = 5;
const RANGE: MessageRange = MessageRange {
    limit: 10,
    before: None,
    after: None,
};

/// One rebuilds; another reads everything there is to read and applies, without an error and never anything
/// older than it has seen.
pub(crate) async fn every_node_goes_on_through_a_swap<H: Home>() {
    let (log, codec) = (Arc::new(MemoryLog::new(1)), Codec::new(Arc::new(Keys::default())));
    let home = H::fresh().await;
    let store = home.open().await;
    let running = Running::start(&log, &codec, store.clone());
    let mut history = History::of(log.epoch(), 0);
    let ids: Vec<_> = (1..=3)
        .map(|number| history.group(number, &["ann", "bob"]))
        .collect();
    write(&log, &codec, &history.pending).await;
    running.caught_up(&log).await;
    let is_done = Arc::new(AtomicBool::new(false));
    let asking = (0..3).map(|_| {
        let (store, is_done, ids) = (Arc::clone(&store), Arc::clone(&is_done), ids.clone());
        tokio::spawn(async move { ask(&*store, &ids, &is_done).await })
    });
    let asking: Vec<_> = asking.collect();
    let writing = tokio::spawn({
        let (log, codec, is_done, ids) = (Arc::clone(&log), codec.clone(), Arc::clone(&is_done), ids.clone());
        async move {
            for round in 0.. {
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
                history.pending.clear();
                history.send(ids[round % ids.len()], ["ann", "bob"][round % 3 % 2]);
                write(&log, &codec, &history.pending).await;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    });
    let shared: Arc<dyn EventLog> = log.clone();
    let other = home.beside(&store).await;
    for _ in 0..SWAPS {
        rebuild(&*other, &shared, &codec, &Progress::new(1))
            .await
            .unwrap();
    }
    is_done.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    for asking in asking {
        assert!(asking.await.unwrap() > 0);
    }
    running.caught_up(&log).await;
    running.stop().await;
    let live = home.dump().await;
    rebuild(&*other, &shared, &codec, &Progress::new(1))
        .await
        .unwrap();
    assert_eq!(home.dump().await, live);
}

/// Asks everything again and again; answers how often.
async fn ask(
    store: &(impl ReadModel + ProjectionStore),
    ids: &[domain::ConversationId],
    is_done: &AtomicBool,
) -> usize {
    let (tenant, ann) = (tenant(), user("ann"));
    let (mut rounds, mut seen, mut newest) = (0, 0, 0);
    while !is_done.load(Ordering::Relaxed) {
        let stream = Stream::Conversation(tenant.clone(), ids[0]);
        let command = CommandId::from_bytes([1; 16]);
        let facts = FactStore::facts(store, 0, &stream, &[command]).await.unwrap();
        assert!(facts.checkpoint >= seen, "{} after {seen}", facts.checkpoint);
        let memberships = store.memberships(&tenant, &ann).await.unwrap();
        assert_eq!(memberships.active().count(), ids.len());
        assert!(memberships.checkpoints[0].sequence >= facts.checkpoint);
        seen = memberships.checkpoints[0].sequence;
        assert!(store.checkpoint(0).await.unwrap().unwrap().sequence >= seen);
        let page = store
            .conversations(&tenant, &ann, range(10, None), NOW)
            .await
            .unwrap();
        assert_eq!(page.items.len(), ids.len());
        assert!(page.items.iter().all(|item| item.members.len() == 2));
        let view = store
            .conversation(&tenant, &ann, ids[0], NOW)
            .await
            .unwrap()
            .unwrap();
        assert!(view.last_ordinal >= newest);
        newest = view.last_ordinal;
        let messages = store
            .messages(&tenant, &ann, ids[0], RANGE)
            .await
            .unwrap()
            .unwrap();
        assert!(
            messages
                .items
                .last()
                .map_or(0, |message| message.id.ordinal.get())
                >= newest
        );
        store.unread(&tenant, &ann, ids[0]).await.unwrap().unwrap();
        assert_eq!(store.members_of(&tenant, ids[0]).await.unwrap().len(), 2);
        let changes = store.membership_changes(0, 0, 100).await.unwrap();
        assert_eq!(changes.changes.len(), ids.len() * 2);
        if newest > 0 {
            let first = MessageId {
                conversation: ids[0],
                ordinal: ordinal(1),
            };
            assert_eq!(store.hydrate(&tenant, &ann, &[first]).await.unwrap().len(), 1);
            let range = ReceiptRange {
                limit: 10,
                after: None,
            };
            store.receipts(&tenant, &ann, first, range).await.unwrap();
        }
        rounds += 1;
        tokio::task::yield_now().await;
    }
    rounds
}
