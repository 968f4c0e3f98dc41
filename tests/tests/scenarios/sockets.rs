//! The WebSocket: coming in, sending, reading, and who hears of it.

use serde_json::{Value, json};
use tests::client::text;
use tests::shapes::{Message, fields, instant};
use tests::{Socket, TestServer};

#[tokio::test]
async fn a_token_comes_in_the_header_or_in_the_first_frame() {
    let server = TestServer::start().await;
    let chat = server.client("ann").direct("bob").await.id;
    let mut by_header = server.socket("bob").await;
    let mut by_frame = Socket::anonymous(server.address(), "/ws").await;
    by_frame
        .emit("authenticate", &json!({"token": server.folder.token("bob")}))
        .await;
    by_frame.wait("connected").await;
    let sent = server.client("ann").say(&chat, "hello, both of you").await;
    assert_eq!(by_header.new_message().await, sent);
    assert_eq!(by_frame.new_message().await, sent);
}

#[tokio::test]
async fn who_does_not_say_who_it_is_is_not_let_in() {
    let server = TestServer::start().await;
    let ann = server.folder.token("ann");
    let chat = server.client("ann").direct("bob").await.id;
    assert_eq!(tests::socket::refusal(server.address(), "nonsense").await, 401);
    let expired = tests::token::with(tests::token::claims("ann"), "exp", 1_000_000_000.into());
    let expired = tests::token::sign(&expired, &server.folder.secret());
    assert_eq!(tests::socket::refusal(server.address(), &expired).await, 401);

    let firsts = [
        json!({"event": "authenticate", "data": {"token": expired}}).to_string(),
        json!({"event": "authenticate", "data": {}}).to_string(),
        json!({"event": "send_message", "data": text(&chat, "let me in")}).to_string(),
        "nonsense".to_owned(),
    ];
    for (index, first) in firsts.iter().enumerate() {
        // A token in the URL stands in logs and histories: it counts for nothing.
        let path = if index % 2 == 0 {
            "/ws".to_owned()
        } else {
            format!("/ws?token={ann}")
        };
        let mut socket = Socket::anonymous(server.address(), &path).await;
        socket.send_raw(first).await;
        while let Ok(frame) = socket.next().await {
            let event = frame.event.as_str();
            assert!(
                !["connected", "message_sent", "new_message"].contains(&event),
                "{frame:?}"
            );
        }
    }
    assert!(server.client("ann").messages(&chat).await.is_empty());
}

#[tokio::test]
async fn a_cursor_is_given_once() {
    let server = TestServer::start().await;
    let twice = server.client("ann").get("/ws?cursor=a&cursor=b").send().await;
    assert_eq!(twice.expect(400).problem()["code"], "invalid_query");
}

#[tokio::test]
async fn a_message_reaches_every_socket_of_every_member_and_nobody_else() {
    let server = TestServer::start().await;
    let chat = server.client("ann").group("Garden", &["bob", "cat"]).await.id;
    let other = server.client("ann").group("Other", &["eve"]).await.id;
    let (mut ann, mut ann_too) = (server.socket("ann").await, server.socket("ann").await);
    let (mut bob, mut cat, mut eve) = (
        server.socket("bob").await,
        server.socket("cat").await,
        server.socket("eve").await,
    );
    let mut body = text(&chat, "who waters today?");
    body["tempId"] = json!("t-7");
    ann.emit("send_message", &body).await;

    let sent = ann.wait("message_sent").await;
    assert_eq!(fields(&sent), ["message", "tempId"]);
    assert_eq!(sent["tempId"], "t-7");
    let message: Message = serde_json::from_value(sent["message"].clone()).unwrap();
    assert_eq!((message.ordinal, message.from_user_id.as_str()), (1, "ann"));
    for socket in [&mut ann, &mut ann_too, &mut bob, &mut cat] {
        let heard = socket.wait("new_message").await;
        assert_eq!(heard["message"], sent["message"]);
    }
    // Only the socket that sent is told that it did.
    server.client("ann").say(&other, "the end").await;
    assert_eq!(ann_too.new_message().await.conversation_id, other);
    assert!(!ann_too.has("message_sent"));
    let heard = eve.new_message().await;
    assert_eq!(
        heard.content.as_deref(),
        Some("the end"),
        "eve heard what was not for her"
    );
    server.settled().await;
    assert_eq!(server.client("bob").messages(&chat).await, [message]);
}

#[tokio::test]
async fn a_frame_with_an_id_is_acknowledged_under_it() {
    let server = TestServer::start().await;
    let chat = server.client("ann").direct("bob").await.id;
    let mut ann = server.socket("ann").await;
    let ack = ann.call("send_message", &text(&chat, "hello")).await;
    assert_eq!(ack["success"], true);
    let mut frame = json!({"event": "send_message", "id": "a string", "data": text(&chat, "again")});
    ann.send_raw(&frame.to_string()).await;
    let ack = next_ack(&mut ann).await;
    assert_eq!(
        (ack.0, ack.1["success"].clone()),
        (json!("a string"), json!(true))
    );
    frame =
        json!({"event": "send_message", "id": 77, "data": text("01ARZ3NDEKTSV4RRFFQ69G5FAV", "to nobody")});
    ann.send_raw(&frame.to_string()).await;
    let ack = next_ack(&mut ann).await;
    assert_eq!((ack.0, ack.1["success"].clone()), (json!(77), json!(false)));
    let ack = ann.call("mark_as_read", &json!({"conversationId": chat})).await;
    assert_eq!(ack["success"], true);
    server.settled().await;
    assert_eq!(server.client("bob").messages(&chat).await.len(), 2);
}

#[tokio::test]
async fn reading_is_told_to_the_members() {
    let server = TestServer::start().await;
    let chat = server.client("ann").group("Garden", &["bob", "cat"]).await.id;
    let (mut ann, mut bob, mut cat) = (
        server.socket("ann").await,
        server.socket("bob").await,
        server.socket("cat").await,
    );
    let first = server.client("ann").say(&chat, "one").await;
    let second = server.client("ann").say(&chat, "two").await;

    bob.emit(
        "mark_as_read",
        &json!({"conversationId": chat, "messageId": first.id}),
    )
    .await;
    let told = |data: Value, reader: &str, message: &Message| {
        assert_eq!(fields(&data), ["conversationId", "messageId", "readAt", "userId"]);
        assert_eq!(
            (&data["conversationId"], &data["userId"]),
            (&json!(chat), &json!(reader))
        );
        assert_eq!(data["messageId"], json!(message.id));
        instant(data["readAt"].as_str().unwrap());
    };
    for socket in [&mut ann, &mut bob, &mut cat] {
        told(socket.wait("messages_read").await, "bob", &first);
    }
    assert_eq!(server.client("bob").conversation(&chat).await.unread_count, 1);
    // Without a message, all of it; and over HTTP the sockets hear of it just the same.
    bob.emit("mark_as_read", &json!({"conversationId": chat})).await;
    told(ann.wait("messages_read").await, "bob", &second);
    server.client("cat").read(&chat, None).await;
    told(ann.wait("messages_read").await, "cat", &second);
    assert_eq!(server.client("bob").conversation(&chat).await.unread_count, 0);
}

#[tokio::test]
async fn who_is_added_while_connected_hears_everything_from_the_first_message() {
    let server = TestServer::start().await;
    let (mut bob, mut dan) = (server.socket("bob").await, server.socket("dan").await);
    let ann = server.client("ann");
    for round in 0..5 {
        let group = ann.group(&format!("Group {round}"), &["bob"]).await.id;
        let direct = ann.direct(&format!("friend{round}")).await.id;
        ann.say(&direct, "not for bob").await;
        for number in 0..3 {
            let sent = ann.say(&group, &number.to_string()).await;
            assert_eq!(bob.new_message().await, sent);
        }
    }
    let chat = ann.direct("dan").await.id;
    let sent = ann.say(&chat, "only for dan").await;
    assert_eq!(dan.new_message().await, sent, "dan heard what was not for him");
    assert!(!bob.has("new_message"));
}

async fn next_ack(socket: &mut Socket) -> (Value, Value) {
    loop {
        let frame = socket.next().await.unwrap();
        if frame.event == "ack" {
            return (frame.id.unwrap(), frame.data);
        }
    }
}
