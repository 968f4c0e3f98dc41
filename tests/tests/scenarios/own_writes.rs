//! Whoever wrote something sees it, at once and always; and whoever was told of a position can ask for it.

use serde_json::{Value, json};
use tests::TestServer;
use tests::ledger::Ledger;
use tests::shapes::Message;

#[tokio::test]
async fn what_one_sent_is_in_the_next_answer_a_thousand_times() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let chat = ann.direct("bob").await.id;
    for number in 1..=1_000 {
        let text = format!("message {number}");
        let sent = ann.post_message(&chat, &text).send().await.expect(201);
        match number % 4 {
            0 => {
                let conversation = ann.conversation(&chat).await;
                assert_eq!(conversation.last_message.as_ref(), Some(&text));
            }
            1 => {
                let path = format!("/conversations/{chat}/messages?limit=1");
                let call = bob.get(&path).header("x-min-position", sent.header("x-position"));
                let page: Value = call.send().await.expect(200).json();
                assert_eq!(
                    page["data"][0]["content"],
                    json!(text),
                    "seen from elsewhere by its position"
                );
            }
            _ => {
                let page = ann.page(&chat, "limit=1").await;
                assert_eq!(page.data, [sent.json::<Message>()]);
            }
        }
    }
    assert_eq!(bob.conversation(&chat).await.unread_count, 1_000);
}

#[tokio::test]
async fn what_one_created_or_read_is_in_the_next_answer() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    for number in 0..50 {
        let group = ann.group(&format!("Group {number}"), &["bob"]).await;
        assert_eq!(ann.conversations().await[0].id, group.id);
        ann.say(&group.id, "hello").await;
        bob.read(&group.id, None).await;
        assert_eq!(bob.conversation(&group.id).await.unread_count, 0);
    }
}

#[tokio::test]
async fn who_does_not_wait_still_sees_it_when_reading() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    for number in 0..100 {
        let text = format!("message {number}");
        let call = ann.post_message(&chat, &text).header("prefer", "respond-async");
        let sent = call.send().await.expect_any(&[201, 202]);
        assert!(sent.sequence() > 0);
        assert_eq!(ann.page(&chat, "limit=1").await.data, [sent.json::<Message>()]);
    }
}

#[tokio::test]
async fn what_was_acknowledged_before_a_crash_is_in_the_first_answer_after_it() {
    let mut server = TestServer::start().await;
    let chat = server.client("ann").direct("bob").await.id;
    let mut ledger = Ledger::new("ann", std::slice::from_ref(&chat));
    for round in 1..=15 {
        let mut socket = server.socket("ann").await;
        let sent = ledger
            .send_socket(&mut socket, 128, |ledger| ledger.issued() >= round * 400)
            .await;
        assert!(sent.is_ok(), "the connection broke");
        // The read models may be behind now, and nobody remembers who wrote last.
        server.kill();
        server.restart().await;
        let user = if round % 2 == 0 { "ann" } else { "bob" };
        let page = server.client(user).page(&chat, "limit=1").await;
        assert_eq!(page.data[0].ordinal, round * 400, "round {round}, seen by {user}");
    }
}

#[tokio::test]
async fn positions_rise_and_one_that_is_not_there_yet_is_not_waited_for_long() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let first = ann.post_message(&chat, "one").send().await.expect(201);
    let second = ann.post_message(&chat, "two").send().await.expect(201);
    assert!(first.sequence() < second.sequence());
    let (place, sequence) = second.header("x-position").rsplit_once('-').unwrap();
    let beyond = format!("{place}-{}", sequence.parse::<u64>().unwrap() + 1_000_000);
    let path = format!("/conversations/{chat}/messages");
    let at_least = |position: &str| ann.get(&path).header("x-min-position", position).send();
    at_least(second.header("x-position")).await.expect(200);
    let refused = at_least(&beyond).await.expect(503);
    refused.problem();
    assert!(
        refused.header("retry-after").parse::<u64>().is_ok(),
        "when to come back"
    );
    at_least("yesterday").await.expect_any(&[400, 422]).problem();
}
