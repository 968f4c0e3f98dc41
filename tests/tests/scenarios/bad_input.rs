//! Bad input over HTTP gets a problem document and changes nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::client::text;
use tests::{Answer, Client, TestServer};

mod tables;

use tables::{NOWHERE, bodies, raw_bodies, requests};

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.group("Garden", &["bob"]).await.id;
    ann.say(&chat, "before").await;
    let before = state(&ann, &chat).await;
    for (name, path, body, statuses) in bodies(&chat) {
        refuse(&name, ann.post(path, &body).send().await, statuses);
    }
    for (name, body, statuses) in raw_bodies(&chat) {
        refuse(
            name,
            ann.call("POST", "/conversations/messages")
                .body(body)
                .send()
                .await,
            statuses,
        );
    }
    for (method, path, statuses) in requests(&chat) {
        refuse(&path, ann.call(method, &path).send().await, statuses);
    }
    assert_eq!(state(&ann, &chat).await, before);
    // Not even a record was appended: what is sent now comes right after what was sent before.
    let first = ann
        .post_message(&chat, "after")
        .send()
        .await
        .expect(201)
        .sequence();
    refuse("empty", ann.post_message(&chat, "").send().await, &[422]);
    refuse("nowhere", ann.post_message(NOWHERE, "hello").send().await, &[404]);
    let second = ann
        .post_message(&chat, "and after that")
        .send()
        .await
        .expect(201)
        .sequence();
    assert_eq!(second, first + 1);
}

#[tokio::test]
async fn who_is_not_a_member_learns_nothing() {
    let server = TestServer::start().await;
    let (ann, eve) = (server.client("ann"), server.client("eve"));
    let chat = ann.group("Garden", &["bob"]).await.id;
    let message = ann.say(&chat, "a secret").await.id;
    let nothing = format!("{NOWHERE}1");
    let elsewhere = tests::token::with(tests::token::claims("ann"), "tenant", "acme".into());
    let elsewhere = server.with_token(&tests::token::sign(&elsewhere, &server.folder.secret()));
    let ask = async |client: &Client, chat: &str, message: &str| {
        let read = json!({"conversationId": chat, "messageId": message});
        let read_all = json!({"conversationId": chat});
        [
            client.get(&format!("/conversations/{chat}")).send().await,
            client
                .get(&format!("/conversations/{chat}/messages"))
                .send()
                .await,
            client
                .get(&format!("/conversations/{chat}/messages?before={message}"))
                .send()
                .await,
            client.post_message(chat, "let me in").send().await,
            client.post("/conversations/messages/read", &read).send().await,
            client
                .post("/conversations/messages/read", &read_all)
                .send()
                .await,
        ]
    };
    for client in [&eve, &elsewhere] {
        let refused = ask(client, &chat, &message).await;
        let unknown = ask(client, NOWHERE, &nothing).await;
        for (refused, unknown) in refused.into_iter().zip(unknown) {
            assert_eq!(told(&refused, &chat, &message), told(&unknown, NOWHERE, &nothing));
        }
    }
    assert_eq!(ann.messages(&chat).await.len(), 1);
    assert_eq!(ann.conversation(&chat).await.member_count, 2);
    assert!(eve.conversations().await.is_empty());
}

#[tokio::test]
async fn a_problem_names_what_is_wrong() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let refused = async |path: &str, body: Value| {
        let problem = ann.post(path, &body).send().await.expect(422).problem();
        problem["detail"].as_str().unwrap().to_owned()
    };
    let (send, read) = ("/conversations/messages", "/conversations/messages/read");
    let group = "/conversations/group";
    let far = format!("{chat}ZZZZ");
    for (path, body, field) in [
        (send, json!({"conversationId": chat, "content": 5}), "content"),
        (send, text(&chat, ""), "content"),
        (
            send,
            json!({"conversationId": chat, "content": "x", "tempId": ""}),
            "tempId",
        ),
        (
            send,
            json!({"conversationId": chat, "content": "x", "replyToId": far}),
            "replyToId",
        ),
        (
            read,
            json!({"conversationId": chat, "messageId": far}),
            "messageId",
        ),
        (
            group,
            json!({"name": "x", "memberIds": ["bob", 1.5]}),
            "memberIds[1]",
        ),
        (group, json!({"name": "x"}), "memberIds"),
        (group, json!({"name": "", "memberIds": []}), "name"),
    ] {
        let detail = refused(path, body).await;
        assert!(detail.contains(field), "{field}: {detail}");
    }
    for path in ["/conversations?limit=abc", "/conversations?limit=0"] {
        let problem = ann.get(path).send().await.expect(422).problem();
        assert_eq!(problem["code"], "validation_failed");
        assert_eq!(problem["detail"], "limit must be a whole number from 1 to 100");
    }
    for path in ["", "?q="] {
        let path = format!("/conversations/messages/search{path}");
        let problem = ann.get(&path).send().await.expect(422).problem();
        assert_eq!(problem["code"], "validation_failed");
        assert!(problem["detail"].as_str().unwrap().starts_with("q "), "{problem}");
    }
}

#[tokio::test]
async fn a_body_that_is_packed_is_refused() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    for (coding, status) in [("gzip", 415), ("identity", 201)] {
        ann.post_message(&chat, "hello")
            .header("content-encoding", coding)
            .send()
            .await
            .expect(status);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_largest_message_is_not() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    // Each character as an escaped pair of surrogates: the longest spelling of the longest text.
    let longest = format!(
        r#"{{"conversationId":"{chat}","type":"TEXT","content":"{}"}}"#,
        "\\ud83d\\ude00".repeat(10_000)
    );
    ann.call("POST", "/conversations/messages")
        .body(longest)
        .send()
        .await
        .expect(201);
    let over = text(&chat, &"x".repeat(8 << 20));
    for path in [
        "/conversations/messages",
        "/conversations/group",
        "/conversations/direct",
    ] {
        refuse("over the limit", oversized(&ann, path, &over).await, &[413]);
    }
    assert_eq!(ann.messages(&chat).await.len(), 1);
}

/// Who sends too much may be cut off before the answer is read; then it asks again.
async fn oversized(client: &Client, path: &str, body: &Value) -> Answer {
    tests::eventually("an answer to a body over the limit", || async {
        client
            .post(path, body)
            .try_send()
            .await
            .map_err(|error| format!("{error:?}"))
    })
    .await
}

#[track_caller]
fn refuse(name: &str, answer: Answer, statuses: &[u16]) {
    assert!(
        statuses.contains(&answer.status),
        "{name}: {} instead of {statuses:?}: {}",
        answer.status,
        answer.text()
    );
    answer.problem();
    assert!(
        answer.header("x-position").is_empty(),
        "{name}: a refusal has a position"
    );
}

/// All that a refusal tells, in its body and by its headers, without what is of this very request.
fn told(answer: &Answer, chat: &str, message: &str) -> (String, BTreeSet<String>) {
    assert_eq!(answer.status, 404, "{}", answer.text());
    let mut problem = answer.problem();
    let fields = problem.as_object_mut().unwrap();
    fields.retain(|name, _| !["instance", "requestId"].contains(&name.as_str()));
    let problem = problem
        .to_string()
        .replace(message, "MESSAGE")
        .replace(chat, "CHAT");
    (problem, answer.headers.keys().map(ToString::to_string).collect())
}

async fn state(client: &Client, chat: &str) -> Value {
    let list: Value = client.get("/conversations").send().await.expect(200).json();
    let messages: Value = client
        .get(&format!("/conversations/{chat}/messages"))
        .send()
        .await
        .expect(200)
        .json();
    json!([list, messages])
}
