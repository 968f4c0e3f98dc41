//! Every connected member gets every message exactly once and in order, whatever else goes on.

use std::collections::BTreeMap;

use tests::ledger::{Ledger, check};
use tests::shapes::Message;
use tests::{Socket, TestServer};

const EACH: u64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_new_message_comes_once_and_in_order_to_every_socket() {
    let server = TestServer::start().await;
    let names = ["ann", "bob", "cat", "dan"];
    let mut chats = Vec::new();
    for name in ["One", "Two", "Three"] {
        chats.push(server.client("ann").group(name, &names).await.id);
    }
    let total = EACH as usize * names.len();
    let mut listeners = Vec::new();
    for name in ["ann", "ann", "cat", "dan"] {
        listeners.push(tokio::spawn(listen(server.socket(name).await, total)));
    }
    let mut senders = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let (client, mut socket) = (server.client(name), server.socket(name).await);
        let mut ledger = Ledger::new(name, &chats);
        senders.push(tokio::spawn(async move {
            let enough = |ledger: &Ledger| ledger.issued() >= EACH;
            let outcome = match index {
                0 => ledger.send_http(&client, enough).await,
                window => ledger.send_socket(&mut socket, window * 8, enough).await,
            };
            assert!(outcome.is_ok(), "the connection broke");
            ledger
        }));
    }
    let mut ledgers = Vec::new();
    for sender in senders {
        ledgers.push(sender.await.unwrap());
    }
    server.settled().await;
    let ann = server.client("ann");
    let mut kept = BTreeMap::new();
    for chat in &chats {
        let messages = ann.acknowledged_messages(chat).await;
        check(&ledgers, chat, &messages);
        kept.insert(chat.clone(), messages);
    }
    for listener in listeners {
        let mut heard: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for message in listener.await.unwrap() {
            heard
                .entry(message.conversation_id.clone())
                .or_default()
                .push(message);
        }
        assert!(heard == kept, "a socket heard something else than what was sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_in_between_hears_everything_from_then_on() {
    let server = TestServer::start().await;
    let chat = server.client("ann").group("Garden", &["bob", "cat"]).await.id;
    let mut sender = server.socket("ann").await;
    let chats = vec![chat.clone()];
    let sending = tokio::spawn(async move {
        let mut ledger = Ledger::new("ann", &chats);
        let outcome = ledger
            .send_socket(&mut sender, 16, |ledger| ledger.issued() >= 2_000)
            .await;
        assert!(outcome.is_ok(), "the connection broke");
    });
    let mut sockets = Vec::new();
    while !sending.is_finished() {
        let mut socket = server.socket("bob").await;
        // What is sent after the server has said that the connection stands must come.
        let mark = server.client("cat").say(&chat, "mark").await.ordinal;
        let first = socket.new_message().await.ordinal;
        assert!(
            first <= mark,
            "connected before {mark} was sent, but heard {first} first"
        );
        sockets.push((socket, first));
        if sockets.len() >= 30 {
            break;
        }
    }
    sending.await.unwrap();
    let last = server.client("cat").say(&chat, "the end").await.ordinal;
    for (mut socket, first) in sockets {
        for expected in first + 1..=last {
            assert_eq!(socket.new_message().await.ordinal, expected, "a hole or a repeat");
        }
    }
}

async fn listen(mut socket: Socket, total: usize) -> Vec<Message> {
    let mut heard = Vec::new();
    while heard.len() < total {
        let frame = socket.next().await.unwrap();
        if frame.event == "new_message" {
            heard.push(serde_json::from_value(frame.data["message"].clone()).unwrap());
        }
    }
    heard
}
