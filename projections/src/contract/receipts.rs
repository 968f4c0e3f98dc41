//! How much is unread, and who has read what since when.

use domain::testing::user;
use domain::{ConversationId, MessageId, TenantId};

use super::{History, Home, NOW, at, ordinal, tenant};
use crate::store::ReadModel;
use crate::view::{Receipt, ReceiptRange};

async fn unread(store: &dyn ReadModel, asking: &str, id: ConversationId) -> u64 {
    let (tenant, asking) = (tenant(), user(asking));
    let unread = store.unread(&tenant, &asking, id).await.unwrap().unwrap();
    let view = store
        .conversation(&tenant, &asking, id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.unread_count, unread, "the view says the same");
    unread
}

async fn read_by(store: &dyn ReadModel, asking: &str, id: ConversationId, number: u64) -> Vec<Receipt> {
    let message = MessageId {
        conversation: id,
        ordinal: ordinal(number),
    };
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let range = ReceiptRange {
            limit: 2,
            after: after.as_ref(),
        };
        let page = store.receipts(&tenant(), &user(asking), message, range).await;
        let Some(page) = page.unwrap() else {
            return Vec::new();
        };
        assert_eq!(page.has_more, page.has_more && page.items.len() == 2);
        after = page.items.last().map(|(reader, _)| reader.clone());
        all.extend(page.items);
        if !page.has_more {
            return all;
        }
    }
}

/// Whoever answers has read.
pub async fn own_messages_are_never_unread<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob", "cid"]);
    history.send_all(id, &["ann", "ann", "bob", "ann"]);
    history.settle(&*store).await;
    assert_eq!(unread(&*store, "ann", id).await, 0);
    assert_eq!(unread(&*store, "bob", id).await, 1);
    assert_eq!(unread(&*store, "cid", id).await, 4);
    history.read(id, "cid", 3);
    history.read(id, "cid", 1);
    history.settle(&*store).await;
    assert_eq!(unread(&*store, "cid", id).await, 1);
}

/// Going back uncovers the messages of others alone.
pub async fn unread_counts_after_the_mark_was_set_back<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["ann", "bob", "ann", "ann", "bob", "ann", "bob"]);
    for (mark, of_ann, of_bob) in [(0, 3, 4), (1, 3, 3), (2, 2, 3), (4, 2, 1), (6, 1, 0), (7, 0, 0)] {
        history.unread(id, "ann", mark);
        history.unread(id, "bob", mark);
        history.settle(&*store).await;
        assert_eq!(unread(&*store, "ann", id).await, of_ann, "ann at {mark}");
        assert_eq!(unread(&*store, "bob", id).await, of_bob, "bob at {mark}");
    }
    history.unread(id, "ann", 1);
    history.send(id, "bob");
    history.settle(&*store).await;
    assert_eq!(unread(&*store, "ann", id).await, 4);
    history.send(id, "ann");
    history.settle(&*store).await;
    assert_eq!(unread(&*store, "ann", id).await, 0);
}

/// A joiner begins with nothing unread, and appears in no receipt for it.
pub async fn joining_reads_everything_but_tells_nobody<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["ann", "bob", "ann"]);
    history.join(id, &["cid"]);
    history.leave(id, "bob", None);
    history.send(id, "ann");
    history.join(id, &["bob"]);
    history.settle(&*store).await;
    assert_eq!(unread(&*store, "cid", id).await, 1);
    assert_eq!(
        unread(&*store, "bob", id).await,
        0,
        "what was missed while away is read"
    );
    assert!(read_by(&*store, "ann", id, 3).await.is_empty());
    // Bob was at 2 by his own message before he left.
    assert_eq!(read_by(&*store, "ann", id, 1).await, [(user("bob"), at(2))]);
    // What he sent before counts on as his own.
    history.unread(id, "bob", 0);
    history.settle(&*store).await;
    assert_eq!(unread(&*store, "bob", id).await, 3);
}

/// By reading or by answering, whichever came first.
pub async fn receipts_say_since_when<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob", "cid"]);
    history.send_all(id, &["ann", "ann", "ann"]);
    let bob_reads_two = history.read(id, "bob", 2);
    history.send(id, "bob");
    let bob_sends = history.sequence();
    history.read(id, "bob", 3);
    history.send(id, "cid");
    let cid_sends = history.sequence();
    history.settle(&*store).await;
    let of = |bob: u64| [(user("bob"), at(bob)), (user("cid"), at(cid_sends))];
    assert_eq!(read_by(&*store, "ann", id, 1).await, of(bob_reads_two));
    assert_eq!(read_by(&*store, "cid", id, 2).await, of(bob_reads_two));
    assert_eq!(read_by(&*store, "bob", id, 3).await, of(bob_sends));
    assert_eq!(
        read_by(&*store, "ann", id, 4).await,
        [(user("cid"), at(cid_sends))]
    );
    assert!(read_by(&*store, "ann", id, 5).await.is_empty());
    let view = store
        .conversation(&tenant(), &user("ann"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    let last_read: Vec<_> = view.members.iter().map(|member| member.last_read_at).collect();
    assert_eq!(last_read, [Some(at(2)), Some(at(bob_sends)), Some(at(cid_sends))]);
}

/// Marking as unread is a private matter.
pub async fn receipts_never_go_back<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["ann", "ann"]);
    let read = history.read(id, "bob", 2);
    history.unread(id, "bob", 0);
    history.read(id, "bob", 1);
    history.leave(id, "bob", None);
    history.settle(&*store).await;
    assert_eq!(read_by(&*store, "ann", id, 2).await, [(user("bob"), at(read))]);
    history.join(id, &["bob"]);
    history.settle(&*store).await;
    assert_eq!(read_by(&*store, "ann", id, 2).await, [(user("bob"), at(read))]);
    let view = store
        .conversation(&tenant(), &user("ann"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.members[1].last_read_at, Some(at(read)));
}

/// Others learn nothing, not even that there is a message.
pub async fn receipts_are_for_members_alone<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob", "cid"]);
    history.send(id, "ann");
    history.read(id, "bob", 1);
    history.leave(id, "cid", None);
    history.settle(&*store).await;
    assert_eq!(read_by(&*store, "bob", id, 1).await.len(), 1);
    assert!(read_by(&*store, "cid", id, 1).await.is_empty());
    assert!(read_by(&*store, "dan", id, 1).await.is_empty());
    assert!(read_by(&*store, "ann", id, 2).await.is_empty());
    assert_eq!(store.unread(&tenant(), &user("cid"), id).await.unwrap(), None);
    let other = TenantId::parse("other").unwrap();
    let message = MessageId {
        conversation: id,
        ordinal: ordinal(1),
    };
    let range = ReceiptRange {
        limit: 10,
        after: None,
    };
    for (tenant, asking) in [(&other, "ann"), (&tenant(), "cid"), (&tenant(), "dan")] {
        let page = store.receipts(tenant, &user(asking), message, range).await;
        assert_eq!(page.unwrap(), None);
        assert!(!store.has_read(tenant, &user(asking), message).await.unwrap());
    }
    assert!(store.has_read(&tenant(), &user("bob"), message).await.unwrap());
    let unread = MessageId {
        ordinal: ordinal(2),
        ..message
    };
    assert!(!store.has_read(&tenant(), &user("bob"), unread).await.unwrap());
    assert_eq!(store.unread(&other, &user("ann"), id).await.unwrap(), None);
}
