//! Garbage over the WebSocket is answered as such, and the connection goes on.

use serde_json::{Value, json};
use tests::TestServer;
use tests::client::text;

#[tokio::test]
async fn garbage_frames_are_answered_with_an_error_and_change_nothing() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.group("Garden", &["bob"]).await.id;
    let other = server.client("cat").direct("dan").await.id;
    let mut socket = server.socket("ann").await;
    let frame = |event: &str, data: Value| json!({"event": event, "data": data}).to_string();
    let send = |body: Value| frame("send_message", body);
    let with = |name: &str, value: Value| {
        let mut body = text(&chat, "hello");
        body[name] = value;
        send(body)
    };
    let garbage = [
        "nonsense".to_owned(),
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "7".to_owned(),
        "{}".to_owned(),
        r#"{"event": 7}"#.to_owned(),
        r#"{"event": "send_message"}"#.to_owned(),
        frame("dance", json!({})),
        frame("new_message", text(&chat, "hello")),
        json!(["send_message", text(&chat, "hello"), null]).to_string(),
        send(json!([chat, "hello", "TEXT", null, null, null])),
        send(json!("hello")),
        send(json!({})),
        with("content", json!("")),
        with("content", json!("x".repeat(10_001))),
        with("content", json!("a\0b")),
        with("content", json!(7)),
        with("type", json!("IMAGE")),
        with("type", json!("CAROUSEL")),
        with("conversationId", json!(other)),
        with("conversationId", json!("01ARZ3NDEKTSV4RRFFQ69G5FAV")),
        with("replyToId", json!("nonsense")),
        with("tempId", json!("x".repeat(1_000))),
        frame("mark_as_read", json!({})),
        frame("mark_as_read", json!({"conversationId": other})),
        frame(
            "mark_as_read",
            json!({"conversationId": chat, "messageId": "nonsense"}),
        ),
        "[".repeat(50_000),
    ];
    for garbage in &garbage {
        socket.send_raw(garbage).await;
        let error = socket.wait("message_error").await;
        assert!(
            error["code"].as_str().is_some_and(|code| !code.is_empty()),
            "{garbage:.60}: {error}"
        );
    }
    socket.send_binary(vec![0, 255, 1, 254]).await;
    socket.wait("message_error").await;
    assert!(!socket.has("message_sent") && !socket.has("new_message"));

    // With a tempId the client knows which of its sends it was.
    let mut refused = text(&chat, "");
    refused["tempId"] = json!("t-9");
    socket.emit("send_message", &refused).await;
    assert_eq!(socket.wait("message_error").await["tempId"], "t-9");
    let ack = socket.call("dance", &json!({})).await;
    assert_eq!(ack["success"], false);

    assert!(ann.messages(&chat).await.is_empty());
    assert!(server.client("cat").messages(&other).await.is_empty());
    socket.say(&chat, "and now a good one").await;
    assert_eq!(socket.new_message().await.ordinal, 1);
}

#[tokio::test]
async fn the_same_refusal_for_what_is_not_there_and_what_is_not_for_one() {
    let server = TestServer::start().await;
    let chat = server.client("ann").direct("bob").await.id;
    let mut eve = server.socket("eve").await;
    let mut told = Vec::new();
    for id in [chat.as_str(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        eve.emit("send_message", &text(id, "let me in")).await;
        let error = eve.wait("message_error").await;
        told.push(error.to_string().replace(id, "ID"));
    }
    assert_eq!(told[0], told[1]);
    assert!(server.client("ann").messages(&chat).await.is_empty());
}

#[tokio::test]
async fn a_frame_that_is_far_too_large_costs_its_sender_alone() {
    let server = TestServer::start().await;
    let chat = server.client("ann").direct("bob").await.id;
    let (mut flood, mut bob) = (server.socket("ann").await, server.socket("bob").await);
    flood
        .send_raw(&json!({"event": "send_message", "data": text(&chat, &"x".repeat(32 << 20))}).to_string())
        .await;
    // It is told or cut off, either is right; nobody else notices.
    if let Ok(frame) = flood.next().await {
        assert_eq!(frame.event, "message_error", "{frame:?}");
    }
    let sent = server.client("ann").say(&chat, "hello").await;
    assert_eq!(bob.new_message().await, sent);
    assert_eq!(sent.ordinal, 1);
}
