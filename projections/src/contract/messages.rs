//! Pages of messages, and messages by id.

use domain::conversation::MessageKind;
use domain::testing::user;
use domain::{ConversationId, MessageId, TenantId, Timestamp};

use super::{History, Home, NOW, at, ordinal, tenant};
use crate::store::ReadModel;
use crate::view::{AnsweredView, MessagePage, MessageRange, MessageView};

fn range(limit: u32, before: Option<u64>, after: Option<u64>) -> MessageRange {
    MessageRange {
        limit,
        before: before.map(ordinal),
        after: after.map(ordinal),
    }
}

async fn page(
    store: &dyn ReadModel,
    asking: &str,
    id: ConversationId,
    range: MessageRange,
) -> Option<(Vec<u64>, bool)> {
    let page = store
        .messages(&tenant(), &user(asking), id, range)
        .await
        .unwrap()?;
    Some((
        page.items.iter().map(|item| item.id.ordinal.get()).collect(),
        page.has_more,
    ))
}

/// Without bounds the newest messages come, oldest first, with everything about them.
pub async fn the_newest_page_is_the_default<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send(id, "ann");
    history.send_all(id, &["bob", "bob", "ann"]);
    history.settle(&*store).await;
    assert_eq!(
        page(&*store, "bob", id, range(3, None, None)).await,
        Some((vec![2, 3, 4], true))
    );
    assert_eq!(
        page(&*store, "bob", id, range(4, None, None)).await,
        Some((vec![1, 2, 3, 4], false))
    );
    assert_eq!(
        page(&*store, "bob", id, range(0, None, None)).await,
        Some((vec![], true))
    );
    let newest = store
        .messages(&tenant(), &user("bob"), id, range(1, None, None))
        .await
        .unwrap()
        .unwrap();
    let expected = MessageView {
        id: MessageId {
            conversation: id,
            ordinal: ordinal(4),
        },
        sender: user("ann"),
        kind: MessageKind::Text,
        content: Some("ann says 4".to_owned()),
        reply_to: Some(ordinal(3)),
        sent_at: Timestamp::from_millis(504),
        recorded_at: at(3),
        edited_at: None,
        deleted_at: None,
        attachments: Vec::new(),
        card: None,
        answered: Some(AnsweredView {
            sender: user("bob"),
            kind: MessageKind::Text,
            content: Some("bob says 3".to_owned()),
            is_deleted: false,
        }),
        reactions: Vec::new(),
    };
    assert_eq!(
        newest,
        MessagePage {
            items: vec![expected],
            has_more: true
        }
    );
}

/// Older ones before, newer ones after, and between the two.
pub async fn pages_go_both_ways<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann"]);
    history.send_all(id, &["ann"; 10]);
    // A neighbour whose messages must never come.
    let other = history.group(2, &["ann"]);
    history.send_all(other, &["ann"; 10]);
    history.settle(&*store).await;
    let cases = [
        (range(3, Some(5), None), (vec![2, 3, 4], true)),
        (range(4, Some(5), None), (vec![1, 2, 3, 4], false)),
        (range(3, Some(1), None), (vec![], false)),
        (range(3, Some(100), None), (vec![8, 9, 10], true)),
        (range(3, None, Some(5)), (vec![6, 7, 8], true)),
        (range(5, None, Some(5)), (vec![6, 7, 8, 9, 10], false)),
        (range(3, None, Some(10)), (vec![], false)),
        (range(2, Some(8), Some(4)), (vec![5, 6], true)),
        (range(9, Some(8), Some(4)), (vec![5, 6, 7], false)),
        (range(3, Some(u64::MAX >> 1), Some(8)), (vec![9, 10], false)),
    ];
    for (range, expected) in cases {
        assert_eq!(page(&*store, "ann", id, range).await, Some(expected), "{range:?}");
    }
}

/// Empty is not the same as not there.
pub async fn a_conversation_without_messages_is_an_empty_page<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann"]);
    history.settle(&*store).await;
    for range in [
        range(5, None, None),
        range(5, Some(1), None),
        range(5, None, Some(1)),
    ] {
        assert_eq!(page(&*store, "ann", id, range).await, Some((vec![], false)));
        assert_eq!(page(&*store, "bob", id, range).await, None);
    }
}

/// Who never was a member, who left, and whose tenant is another one, see none.
pub async fn messages_are_for_members_alone<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let message = history.send(id, "bob");
    history.leave(id, "bob", None);
    history.settle(&*store).await;
    let all = range(5, None, None);
    assert!(page(&*store, "ann", id, all).await.is_some());
    for asking in ["bob", "cid"] {
        assert_eq!(page(&*store, asking, id, all).await, None);
        assert!(
            store
                .hydrate(&tenant(), &user(asking), &[message])
                .await
                .unwrap()
                .is_empty()
        );
    }
    let other = TenantId::parse("other").unwrap();
    assert_eq!(store.messages(&other, &user("ann"), id, all).await.unwrap(), None);
    assert!(
        store
            .hydrate(&other, &user("ann"), &[message])
            .await
            .unwrap()
            .is_empty()
    );
}

/// Search asks for hits by rank, some of which may be gone.
pub async fn messages_are_hydrated_in_the_order_asked_for<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let [one, two, hidden] = [
        history.group(1, &["ann", "bob"]),
        history.group(2, &["bob", "ann"]),
        history.group(3, &["bob"]),
    ];
    let secret = history.send(hidden, "bob");
    let first = history.send(one, "ann");
    let second = history.send(two, "bob");
    let third = history.send(one, "bob");
    history.settle(&*store).await;
    let missing = MessageId {
        conversation: one,
        ordinal: ordinal(9),
    };
    let impossible = MessageId {
        conversation: one,
        ordinal: ordinal(u64::MAX),
    };
    let asked = [third, missing, secret, first, impossible, second];
    let found = store.hydrate(&tenant(), &user("ann"), &asked).await.unwrap();
    assert_eq!(
        found.iter().map(|message| message.id).collect::<Vec<_>>(),
        [third, first, second]
    );
    assert_eq!(found[0].content.as_deref(), Some("bob says 2"));
    assert!(
        store
            .hydrate(&tenant(), &user("ann"), &[])
            .await
            .unwrap()
            .is_empty()
    );
}

/// Without the key the words are missing, and nothing else.
pub async fn what_was_erased_is_gone_and_the_rest_stays<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    history.erased = true;
    let id = history.group(1, &["ann", "bob"]);
    history.profile("ann", "Ann");
    history.send(id, "ann");
    history.settle(&*store).await;
    let view = store
        .conversation(&tenant(), &user("bob"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (view.name, view.description, view.avatar, view.last_message),
        (None, None, None, None)
    );
    assert_eq!((view.last_ordinal, view.unread_count), (1, 1));
    assert_eq!(view.last_message_at, Some(Timestamp::from_millis(501)));
    assert_eq!(
        (view.members[0].name.as_ref(), view.members[0].avatar.as_ref()),
        (None, None)
    );
    let page = store
        .messages(&tenant(), &user("bob"), id, range(5, None, None))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (page.items[0].content.as_ref(), &page.items[0].sender),
        (None, &user("ann"))
    );
    // A key that is back gives new words.
    history.erased = false;
    history.profile("ann", "Ann again");
    history.send(id, "ann");
    history.settle(&*store).await;
    let view = store
        .conversation(&tenant(), &user("bob"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.last_message.as_deref(), Some("ann says 2"));
    assert_eq!(view.members[0].name.as_deref(), Some("Ann again"));
}

/// Quotes, brackets, digits and scripts of the world in ids and texts stay what they are.
pub async fn ids_of_the_outside_are_only_text<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let names = [
        "7",
        "007",
        "null",
        "true",
        "[1]",
        "{\"a\":1}",
        "o'x\"",
        "đ \\u0041",
        "%;--",
        "1e3",
        "😀",
    ];
    let id = history.group(1, &names);
    history.send_all(id, &names);
    history.settle(&*store).await;
    history.send_all(id, &names);
    history.settle(&*store).await;
    let members = store.members_of(&tenant(), id).await.unwrap();
    assert_eq!(members, names.map(user));
    for (index, name) in names.into_iter().enumerate() {
        let all = range(50, None, None);
        let page = store
            .messages(&tenant(), &user(name), id, all)
            .await
            .unwrap()
            .unwrap();
        let (first, second) = (&page.items[index], &page.items[names.len() + index]);
        assert_eq!((&first.sender, &second.sender), (&user(name), &user(name)));
        assert_eq!(first.content, Some(format!("{name} says {}", index + 1)));
        let after = (names.len() - 1 - index) as u64;
        assert_eq!(
            store.unread(&tenant(), &user(name), id).await.unwrap(),
            Some(after)
        );
    }
}
