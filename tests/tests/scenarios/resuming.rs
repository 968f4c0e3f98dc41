//! A client that comes back with its last cursor, to whichever node, gets exactly what it missed, once and
//! before anything new; or it is told to start anew.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use tests::shapes::Message;
use tests::{Nodes, Socket, TestServer, report};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_gets_what_it_missed_once_and_first() {
    let nodes = Nodes::start().await;
    let ann = nodes.one().client("ann");
    let mut chats = Vec::new();
    for name in ["Garden", "Kitchen", "Attic"] {
        chats.push(ann.group(name, &["bob", "cat"]).await.id);
    }
    // The second time another socket of the same user is open there already.
    let mut present = None;
    for round in 0..2 {
        let mut bob = nodes.one().socket("bob").await;
        let mut cursor = String::new();
        for chat in &chats {
            let said = ann.say(chat, "heard").await;
            let (message, at) = message_and_cursor(&mut bob).await;
            assert_eq!(message, said);
            cursor = at;
        }
        bob.close().await;
        let mut missed: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for number in 0..20 {
            let chat = &chats[number % 3];
            let said = ann.say(chat, &format!("missed {number}")).await;
            missed.entry(chat.clone()).or_default().push(said);
        }
        let new = ann.group(&format!("Cellar {round}"), &["bob"]).await.id;
        for number in 0..3 {
            let said = ann.say(&new, &format!("missed {number} too")).await;
            missed.entry(new.clone()).or_default().push(said);
        }
        chats.push(new);

        let mut bob = nodes.other().resume("bob", &cursor).await;
        let mut heard: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for chat in &chats {
            // Sent when the client is connected, so it is new.
            ann.say(chat, "new").await;
        }
        let mut ends = 0;
        while ends < chats.len() {
            let (message, _) = message_and_cursor(&mut bob).await;
            if message.content.as_deref() == Some("new") {
                assert_eq!(heard, missed, "something new came before what was missed");
                ends += 1;
            } else {
                heard
                    .entry(message.conversation_id.clone())
                    .or_default()
                    .push(message);
            }
        }
        assert_quiet(&mut bob, &ann_says(&nodes, &chats[0]).await).await;
        bob.close().await;
        if present.is_none() {
            present = Some(nodes.other().socket("bob").await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_missed_nothing_is_given_nothing() {
    let nodes = Nodes::start().await;
    let ann = nodes.one().client("ann");
    let chat = ann.group("Garden", &["bob"]).await.id;
    let mut bob = nodes.one().socket("bob").await;
    ann.say(&chat, "heard").await;
    let (_, mut cursor) = message_and_cursor(&mut bob).await;
    for round in 0..10 {
        bob.close().await;
        bob = nodes.both()[round % 2].resume("bob", &cursor).await;
        let said = ann.say(&chat, "new").await;
        // The first that comes is the new one.
        let (message, at) = message_and_cursor(&mut bob).await;
        assert_eq!(message, said);
        cursor = at;
    }
    assert_quiet(&mut bob, &ann_says(&nodes, &chat).await).await;
}

/// Sends that wait for each other become one commit, and a socket may end between two of its frames.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_from_the_middle_of_a_commit_gives_the_rest_of_it() {
    let nodes = Nodes::start().await;
    let ann = nodes.one().client("ann");
    let chat = ann.group("Garden", &["bob", "cat"]).await.id;
    let mut bob = nodes.other().socket("bob").await;
    let (mut sent, mut commits) = (Vec::new(), BTreeSet::new());
    while commits.len() + 3 > sent.len() {
        assert!(sent.len() < 1_000, "no sends become one commit");
        let texts = (0..16).map(|number| format!("message {number}"));
        let answers = join_all(texts.map(|text| {
            let call = ann.post_message(&chat, &text);
            async move { call.send().await.expect(201) }
        }));
        for answer in answers.await {
            commits.insert(answer.sequence());
            sent.push(answer.json::<Message>());
        }
    }
    sent.sort_by_key(|message| message.ordinal);
    let mut cursors = Vec::new();
    for message in &sent {
        let (heard, cursor) = message_and_cursor(&mut bob).await;
        assert_eq!(heard, *message);
        cursors.push(cursor);
    }
    report(&format!("{} messages in {} commits", sent.len(), commits.len()));
    // The newest ones are enough to have met one from within a commit in all likelihood; and all are few.
    for (index, cursor) in cursors.iter().enumerate().rev().take(60) {
        let mut back = nodes.both()[index % 2].resume("bob", cursor).await;
        for message in &sent[index + 1..] {
            assert_eq!(message_and_cursor(&mut back).await.0, *message, "after {index}");
        }
        let said = ann.say(&chat, "the end").await;
        assert_eq!(message_and_cursor(&mut back).await.0, said, "after {index}");
        sent.push(said);
        back.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_cursor_is_one_reset_and_then_what_is_new() {
    let nodes = Nodes::start().await;
    let ann = nodes.one().client("ann");
    let chat = ann.group("Garden", &["bob", "cat"]).await.id;
    let mut cat = nodes.one().socket("cat").await;
    ann.say(&chat, "heard").await;
    let (_, of_another) = message_and_cursor(&mut cat).await;
    let elsewhere = TestServer::start().await;
    let bob = elsewhere.client("bob");
    let room = bob.group("Elsewhere", &["bob"]).await.id;
    let mut socket = elsewhere.socket("bob").await;
    bob.say(&room, "heard").await;
    let (_, of_elsewhere) = message_and_cursor(&mut socket).await;
    let mut cut = of_another.clone();
    cut.truncate(cut.len() / 2);
    let long = "A".repeat(10_000);
    for cursor in [&*of_another, &of_elsewhere, &cut, "", "garbage", "ü &?#%", &long] {
        for node in nodes.both() {
            let mut bob = node.resume("bob", cursor).await;
            let frame = bob.next().await.unwrap();
            assert_eq!(frame.event, "reset", "{cursor:.20}: {frame:?}");
            assert!(frame.data["reason"].is_string(), "{frame:?}");
            let said = ann.say(&chat, "new").await;
            assert_eq!(message_and_cursor(&mut bob).await.0, said);
            assert!(!bob.has("reset"), "a second reset");
            bob.close().await;
            // The cursor of the reset is one to come back with.
            let cursor = frame.cursor.unwrap();
            let mut bob = node.resume("bob", &cursor).await;
            assert_eq!(message_and_cursor(&mut bob).await.0, said);
            bob.close().await;
        }
    }
}

/// The next frame that comes from the log, which is a message.
async fn message_and_cursor(socket: &mut Socket) -> (Message, String) {
    let frame = socket.next().await.unwrap();
    assert_eq!(frame.event, "new_message", "{frame:?}");
    let message = serde_json::from_value(frame.data["message"].clone()).unwrap();
    (message, frame.cursor.unwrap())
}

async fn ann_says(nodes: &Nodes, chat: &str) -> Message {
    nodes.other().client("ann").say(chat, "the end").await
}

/// Nothing comes but this last message.
async fn assert_quiet(socket: &mut Socket, last: &Message) {
    assert_eq!(message_and_cursor(socket).await.0, *last);
    assert!(
        !socket.has("new_message") && !socket.has("reset"),
        "something came twice"
    );
}
