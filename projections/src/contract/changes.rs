//! What becomes of messages: new texts, deletion, reactions.

use domain::conversation::body::{Card, File};
use domain::conversation::{Body, MessageKind};
use domain::testing::user;
use domain::values::{Content, Emoji};
use domain::{MessageId, TenantId, Timestamp};
use eventstore::facts::FactStore;
use eventstore::subject::Stream;

use super::{History, Home, NOW, at, ordinal, tenant};
use crate::store::ReadModel;
use crate::view::{AnsweredView, MessageTally, MessageView, ReactionCount, VersionView};

async fn message(store: &dyn ReadModel, asking: &str, id: MessageId) -> Option<MessageView> {
    let mut found = store.hydrate(&tenant(), &user(asking), &[id]).await.unwrap();
    found.pop()
}

async fn versions(store: &dyn ReadModel, asking: &str, id: MessageId) -> Option<Vec<VersionView>> {
    store
        .message_versions(&tenant(), &user(asking), id)
        .await
        .unwrap()
}

/// The last text is the message's, and those before are its history, also out of many batches.
pub async fn an_edited_message_keeps_what_it_said<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let sent = history.send(id, "ann");
    history.settle(&*store).await;
    assert_eq!(versions(&*store, "bob", sent).await, Some(vec![]));
    let first = history.edit(sent, "ann", "second text");
    history.settle(&*store).await;
    history.edit(sent, "ann", "third text");
    let last = history.edit(sent, "ann", "fourth text");
    history.settle(&*store).await;
    let found = message(&*store, "bob", sent).await.unwrap();
    assert_eq!(
        (found.content.as_deref(), found.edited_at, found.deleted_at),
        (Some("fourth text"), Some(at(last)), None)
    );
    let version = |number, text: &str, written_at| VersionView {
        number,
        content: Some(text.to_owned()),
        written_at,
    };
    let expected = vec![
        version(0, "ann says 1", Timestamp::from_millis(501)),
        version(1, "second text", at(first)),
        version(2, "third text", at(last - 1)),
    ];
    assert_eq!(versions(&*store, "bob", sent).await, Some(expected));
    let view = store
        .conversation(&tenant(), &user("bob"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.last_message.as_deref(), Some("fourth text"));
}

/// Its words, its history and its reactions are gone; that it was sent is not.
pub async fn a_deleted_message_says_nothing_any_more<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let sent = history.send(id, "ann");
    history.edit(sent, "ann", "another text");
    history.react(sent, "bob", "👍");
    history.settle(&*store).await;
    let deleted = history.delete(sent, "bob");
    let brief = history.send(id, "bob");
    history.edit(brief, "bob", "gone at once");
    history.react(brief, "ann", "🎉");
    history.delete(brief, "bob");
    history.settle(&*store).await;
    let found = message(&*store, "bob", sent).await.unwrap();
    assert_eq!((found.content, found.deleted_at), (None, Some(at(deleted))));
    assert_eq!((found.sender, found.reactions), (user("ann"), vec![]));
    for gone in [sent, brief] {
        assert_eq!(versions(&*store, "bob", gone).await, Some(vec![]));
        let reactions = store
            .message_reactions(&tenant(), &user("bob"), gone)
            .await
            .unwrap();
        assert_eq!(reactions, []);
    }
    let view = store
        .conversation(&tenant(), &user("ann"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((view.last_message, view.last_ordinal), (None, 2));
    assert!(!home.dump().await.contains("text"), "no word of it is left");
}

/// The most first, then by emoji; each counts once, and can be taken back.
pub async fn reactions_are_counted_by_emoji<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob", "cid"]);
    let sent = history.send(id, "ann");
    let ann = history.react(sent, "ann", "👍");
    history.react(sent, "bob", "🎉");
    history.react(sent, "bob", "party");
    history.settle(&*store).await;
    history.unreact(sent, "bob", "🎉");
    history.unreact(sent, "bob", "party");
    let again = history.react(sent, "bob", "party");
    let cid = history.react(sent, "cid", "👍");
    history.settle(&*store).await;
    let count = |emoji: &str, count, is_mine| ReactionCount {
        emoji: emoji.to_owned(),
        count,
        is_mine,
    };
    let found = message(&*store, "bob", sent).await.unwrap();
    assert_eq!(found.reactions, [count("👍", 2, false), count("party", 1, true)]);
    let all = store
        .message_reactions(&tenant(), &user("bob"), sent)
        .await
        .unwrap();
    let expected = [
        ("party".to_owned(), user("bob"), at(again)),
        ("👍".to_owned(), user("ann"), at(ann)),
        ("👍".to_owned(), user("cid"), at(cid)),
    ];
    assert_eq!(all, expected);
}

/// As it is now, and no more than a preview of it.
pub async fn an_answer_shows_what_it_answers<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let sent = history.send(id, "ann");
    let answer = history.send(id, "bob");
    history.edit(sent, "ann", &"đ".repeat(300));
    history.settle(&*store).await;
    let expected = AnsweredView {
        sender: user("ann"),
        kind: MessageKind::Text,
        content: Some("đ".repeat(200)),
        is_deleted: false,
    };
    let answered = |view: Option<MessageView>| view.unwrap().answered;
    assert_eq!(
        answered(message(&*store, "ann", answer).await),
        Some(expected.clone())
    );
    history.delete(sent, "ann");
    history.settle(&*store).await;
    let expected = AnsweredView {
        content: None,
        is_deleted: true,
        ..expected
    };
    assert_eq!(answered(message(&*store, "ann", answer).await), Some(expected));
    assert_eq!(answered(message(&*store, "ann", sent).await), None);
}

/// Who is no member, or of another tenant, is told nothing.
pub async fn what_becomes_of_a_message_is_for_members_alone<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let sent = history.send(id, "ann");
    history.edit(sent, "ann", "another text");
    history.react(sent, "bob", "👍");
    history.leave(id, "bob", None);
    history.settle(&*store).await;
    let other = TenantId::parse("other").unwrap();
    for (tenant, asking) in [(&tenant(), "bob"), (&tenant(), "eve"), (&other, "ann")] {
        let asking = user(asking);
        assert_eq!(store.message_versions(tenant, &asking, sent).await.unwrap(), None);
        assert_eq!(store.message_reactions(tenant, &asking, sent).await.unwrap(), []);
        assert_eq!(store.message_stats(tenant, &asking, id).await.unwrap(), []);
        assert_eq!(store.member_page(tenant, &asking, id, 0, 10).await.unwrap(), None);
        assert_eq!(
            store
                .members_named(tenant, &asking, id, &[user("ann")])
                .await
                .unwrap(),
            []
        );
    }
    let none = MessageId {
        conversation: id,
        ordinal: ordinal(9),
    };
    assert_eq!(versions(&*store, "ann", none).await, None);
}

/// All of each, until it is deleted.
pub async fn files_and_cards_are_kept<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let picture: File = serde_json::from_value(serde_json::json!({
        "type": "IMAGE", "fileName": "Ảnh.png", "fileUrl": "https://example.org/a.png", "fileSize": 7,
        "width": 3, "height": 4, "duration": 1.5
    }))
    .unwrap();
    let place: Card = serde_json::from_value(serde_json::json!({
        "location": {"latitude": 21.0285, "longitude": -105.8, "name": "Hà Nội"}
    }))
    .unwrap();
    let pictures = Body {
        content: Some(Content::parse("look").unwrap()),
        attachments: vec![picture.clone(), picture.clone()],
        ..Body::default()
    };
    let somewhere = Body {
        card: Some(place.clone()),
        ..Body::default()
    };
    let first = history.send_body(id, "ann", MessageKind::Image, pictures);
    let second = history.send_body(id, "ann", MessageKind::Location, somewhere);
    history.settle(&*store).await;
    let shown = message(&*store, "bob", first).await.unwrap();
    assert_eq!(
        (shown.kind, shown.attachments, shown.card),
        (MessageKind::Image, vec![picture.clone(), picture], None)
    );
    let shown = message(&*store, "bob", second).await.unwrap();
    assert_eq!(
        (shown.content, shown.attachments, shown.card),
        (None, vec![], Some(place))
    );
    let tallies = store.message_stats(&tenant(), &user("ann"), id).await.unwrap();
    assert_eq!(tallies.iter().map(|tally| tally.attachments).sum::<u64>(), 2);
    history.delete(first, "ann");
    history.delete(second, "ann");
    history.settle(&*store).await;
    for gone in [first, second] {
        let shown = message(&*store, "bob", gone).await.unwrap();
        assert_eq!((shown.attachments, shown.card), (vec![], None));
    }
    assert!(
        !home.dump().await.contains("example.org/a.png"),
        "no address of a file is left"
    );
}

/// Without the deleted ones.
pub async fn messages_are_counted_by_type_sender_and_day<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["ann", "ann", "bob"]);
    let gone = history.send(id, "bob");
    history.delete(gone, "bob");
    history.settle(&*store).await;
    let mut tallies = store.message_stats(&tenant(), &user("ann"), id).await.unwrap();
    tallies.sort_by(|a, b| a.sender.cmp(&b.sender));
    let tally = |sender, count, first, last| MessageTally {
        kind: MessageKind::Text,
        sender: user(sender),
        day: 0,
        count,
        first_at: Timestamp::from_millis(first),
        last_at: Timestamp::from_millis(last),
        attachments: 0,
    };
    assert_eq!(tallies, [tally("ann", 2, 501, 502), tally("bob", 1, 503, 503)]);
}

/// With the reactions of those who are asked about, and of nobody else.
pub async fn the_facts_of_a_message_come_with_their_checkpoint<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let stream = Stream::Conversation(tenant(), id);
    let asked = [
        (ordinal(1), Some(user("bob"))),
        (ordinal(2), None),
        (ordinal(9), None),
    ];
    let facts = store.message_facts(0, &stream, &asked).await.unwrap();
    assert_eq!((facts.checkpoint, facts.messages.len()), (0, 0));
    let sent = history.send(id, "ann");
    let gone = history.send(id, "bob");
    for (who, emoji) in [("ann", "🎉"), ("bob", "👍"), ("bob", "party")] {
        history.react(sent, who, emoji);
    }
    let last = history.delete(gone, "bob");
    history.settle(&*store).await;
    let facts = store.message_facts(0, &stream, &asked).await.unwrap();
    assert_eq!((facts.checkpoint, facts.messages.len()), (last, 2));
    let known = &facts.messages[&ordinal(1)];
    let emoji = ["👍", "party"].map(|text| Emoji::parse(text).unwrap());
    assert_eq!(known.reactions, [(user("bob"), emoji.into())].into());
    assert_eq!(
        (&known.sender, known.sent_at, known.reply_to, known.is_deleted),
        (&user("ann"), Timestamp::from_millis(501), None, false)
    );
    let known = &facts.messages[&ordinal(2)];
    assert_eq!((known.is_deleted, known.reply_to), (true, Some(ordinal(1))));
}
