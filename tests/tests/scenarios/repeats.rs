//! A repeat of a send is recognised, whenever it comes.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::client::text;
use tests::ledger::Ledger;
use tests::shapes::Message;
use tests::{Answer, Client, TestServer};

#[tokio::test]
async fn a_repeat_with_the_same_temp_id_gets_the_original_message_always() {
    let mut server = TestServer::start().await;
    let mut ann = server.client("ann");
    let chat = ann.group("Garden", &["bob"]).await.id;
    let mut body = text(&chat, "water the tomatoes");
    body["tempId"] = json!("t-1");

    // At once, before there is any original.
    let all = join_all((0..100).map(|_| send(&ann, &body))).await;
    let original: Message = all[0].json();
    for answer in all {
        assert_eq!(answer.expect_any(&[200, 201]).json::<Message>(), original);
    }
    assert_original(&ann, &body, &original).await;

    // 10,000 sends later.
    let mut socket = server.socket("bob").await;
    let mut ledger = Ledger::new("bob", std::slice::from_ref(&chat));
    let sent = ledger
        .send_socket(&mut socket, 256, |ledger| ledger.issued() >= 10_000)
        .await;
    assert!(sent.is_ok(), "the connection broke");
    assert_original(&ann, &body, &original).await;

    // After a restart, a crash and a rebuild.
    assert!(server.terminate().await.success());
    server.restart().await;
    ann = server.client("ann");
    assert_original(&ann, &body, &original).await;
    server.kill();
    server.restart().await;
    ann = server.client("ann");
    assert_original(&ann, &body, &original).await;
    server.rebuild().await;
    ann = server.client("ann");
    assert_original(&ann, &body, &original).await;
    let last = &ann.page(&chat, "limit=1").await.data[0];
    assert_eq!(last.ordinal, 10_001, "a repeat was sent anew");
}

#[tokio::test]
async fn a_repeat_over_the_socket_is_the_same_as_over_http() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let mut body = text(&chat, "hello");
    body["tempId"] = json!("t-1");
    let original: Message = send(&ann, &body).await.expect(201).json();
    let mut socket = server.socket("ann").await;
    for _ in 0..3 {
        socket.emit("send_message", &body).await;
        let sent = socket.wait("message_sent").await;
        assert_eq!(sent["tempId"], "t-1");
        assert_eq!(sent["message"]["id"], json!(original.id));
    }
    let mut other = body.clone();
    other["content"] = json!("something else");
    socket.emit("send_message", &other).await;
    socket.wait("message_error").await;
    // The header names the same thing as the field.
    let keyed = ann
        .post("/conversations/messages", &text(&chat, "hello"))
        .header("idempotency-key", "t-1");
    assert_eq!(
        keyed.send().await.expect_any(&[200, 201]).json::<Message>(),
        original
    );
    assert_eq!(ann.messages(&chat).await, [original]);
}

/// A client that comes back sends again what it has heard nothing of, and goes on: both arrive together.
#[tokio::test]
async fn a_repeat_is_recognised_among_new_sends_after_a_crash() {
    let mut server = TestServer::start().await;
    let chat = server.client("ann").direct("bob").await.id;
    let body = |number: usize| {
        let mut body = text(&chat, &format!("message {number}"));
        body["tempId"] = json!(format!("t-{number}"));
        body
    };
    let mut ids: Vec<Value> = Vec::new();
    for round in 0..5 {
        let mut socket = server.socket("ann").await;
        let known = ids.len();
        let repeats = known.saturating_sub(20)..known;
        let new = known..known + 100;
        let mixed = new.clone().zip(repeats.clone()).flat_map(|(new, old)| [old, new]);
        for number in mixed.chain(new.skip(repeats.len())) {
            socket.emit("send_message", &body(number)).await;
        }
        for _ in 0..repeats.len() + 100 {
            let sent = socket.wait("message_sent").await;
            let number: usize = sent["tempId"].as_str().unwrap()[2..].parse().unwrap();
            ids.resize(ids.len().max(number + 1), Value::Null);
            let id = &sent["message"]["id"];
            assert!(
                ids[number].is_null() || ids[number] == *id,
                "round {round}: {number} was sent anew"
            );
            ids[number] = id.clone();
        }
        server.kill();
        server.restart().await;
    }
    let kept = server.client("bob").messages(&chat).await;
    assert_eq!(kept.len(), ids.len());
    for (number, (message, id)) in kept.iter().zip(&ids).enumerate() {
        assert_eq!(
            message.content,
            Some(format!("message {number}")),
            "not in the order they were sent"
        );
        assert_eq!(json!(message.id), *id);
    }
}

#[tokio::test]
async fn a_temp_id_is_scoped_to_its_user_and_conversation() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let (one, other) = (
        ann.group("One", &["bob"]).await.id,
        ann.group("Other", &["bob"]).await.id,
    );
    let keyed = |chat: &str| {
        let mut body = text(chat, "hello");
        body["tempId"] = json!("t-1");
        body
    };
    let mut ids = Vec::new();
    for (client, chat) in [(&ann, &one), (&ann, &other), (&bob, &one), (&bob, &other)] {
        ids.push(send(client, &keyed(chat)).await.expect(201).json::<Message>().id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "a send was taken for another one's repeat");
    // Without an id of the client every send is a new one.
    let (first, second) = (ann.say(&one, "hello").await, ann.say(&one, "hello").await);
    assert_ne!(first.id, second.id);
}

async fn send(client: &Client, body: &Value) -> Answer {
    client.post("/conversations/messages", body).send().await
}

/// The same again is the original, and another payload under the same id is refused.
async fn assert_original(client: &Client, body: &Value, original: &Message) {
    let repeat = send(client, body).await.expect_any(&[200, 201]);
    assert_eq!(repeat.json::<Message>(), *original);
    assert!(!repeat.header("x-position").is_empty());
    let mut other = body.clone();
    other["content"] = json!("water the roses");
    send(client, &other).await.expect(422).problem();
    let mut reply = body.clone();
    reply["replyToId"] = json!(original.id);
    send(client, &reply).await.expect(422).problem();
}
