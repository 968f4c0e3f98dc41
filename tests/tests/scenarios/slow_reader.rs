//! A socket that does not keep up is closed, and no other notices.

use futures::StreamExt;
use serde_json::{Value, json};
use tests::{PATIENCE, Socket, TestServer, report, socket};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::protocol::Message as Wire;

/// Far more than the buffers of the operating system and any bounded queue hold.
const MESSAGES: u64 = 10_000;
const ROUND: u64 = 100;
const CHARACTERS: usize = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_closed_and_who_reads_hears_everything() {
    let server = TestServer::start().await;
    let chat = server.client("ann").group("Garden", &["bob", "cat"]).await.id;
    let token = server.folder.token("bob");
    let mut slow = socket::open(server.address(), "/ws", Some(&token), Some(4_096))
        .await
        .unwrap();
    let connected = slow.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(connected.contains("connected"), "{connected}");

    let (progress, heard) = watch::channel(0);
    let listening = tokio::spawn(hear(server.socket("cat").await, progress));
    let mut sender = server.socket("ann").await;
    send(&mut sender, &chat, heard).await;
    assert_eq!(listening.await.unwrap(), MESSAGES, "another socket noticed");

    // What it still gets is what came first, in order; then it is closed, long before the end.
    let mut expected = 1;
    let closed = loop {
        match tokio::time::timeout(PATIENCE, slow.next())
            .await
            .expect("it was never closed")
        {
            Some(Ok(Wire::Text(text))) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["event"] == "new_message" {
                    assert_eq!(frame["data"]["message"]["ordinal"], json!(expected));
                    expected += 1;
                }
            }
            Some(Ok(Wire::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break None,
        }
    };
    report(&format!(
        "a socket that did not read got {} frames and was closed with {closed:?}",
        expected - 1
    ));
    assert!(expected <= MESSAGES, "it was not closed");
    // And it may come back.
    let mut back = server.socket("bob").await;
    let sent = server.client("ann").say(&chat, "welcome back").await;
    assert_eq!(back.new_message().await, sent);
}

/// Sends with a few on their way, and not far ahead of the listener, so that only the slow one is slow.
async fn send(socket: &mut Socket, chat: &str, mut heard: watch::Receiver<u64>) {
    let content = "x".repeat(CHARACTERS);
    for round in 1..=MESSAGES / ROUND {
        for _ in 0..ROUND {
            socket
                .emit("send_message", &tests::client::text(chat, &content))
                .await;
        }
        for _ in 0..ROUND {
            socket.wait("message_sent").await;
            socket.new_message().await;
        }
        heard
            .wait_for(|heard| *heard >= round * ROUND)
            .await
            .expect("another socket noticed");
    }
}

/// Listens until everything has come, and gives the last ordinal of an unbroken row.
async fn hear(mut socket: Socket, progress: watch::Sender<u64>) -> u64 {
    let mut last = 0;
    while last < MESSAGES {
        let ordinal = socket.new_message().await.ordinal;
        assert_eq!(ordinal, last + 1, "a hole or a repeat");
        last = ordinal;
        progress.send_replace(last);
    }
    last
}
