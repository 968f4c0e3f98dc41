//! SIGTERM: the server ends of its own accord and loses nothing that it accepted.

use std::time::{Duration, Instant};

use tests::ledger::check;
use tests::load::{Load, Way};
use tests::{TestServer, socket};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_asked_to_end_keeps_what_it_accepted() {
    let mut server = TestServer::start().await;
    let users = [
        ("ann", Way::Http),
        ("bob", Way::Http),
        ("cat", Way::Http),
        ("dan", Way::Socket(32)),
        ("eve", Way::Socket(32)),
    ];
    let names: Vec<_> = users.iter().map(|(name, _)| *name).collect();
    let chat = server.client("ann").group("Garden", &names).await.id;
    let load = Load::start(&server.folder, std::slice::from_ref(&chat), &users);
    for _ in 0..3 {
        load.server_at(Some(server.address()));
        load.more(200).await;
        let status = server.terminate().await;
        assert!(status.success(), "it ended badly: {status}");
        load.server_at(None);
        server.restart().await;
    }
    load.server_at(Some(server.address()));
    let ledgers = load.finish().await;
    server.settled().await;
    check(
        &ledgers,
        &chat,
        &server.client("ann").acknowledged_messages(&chat).await,
    );
}

#[tokio::test]
async fn a_server_that_ends_waits_for_no_request_that_does_not_come() {
    let mut server = TestServer::start().await;
    let token = server.folder.token("ann");
    let mut open = Vec::new();
    let half = format!(
        "POST /conversations/direct HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    for begun in ["", "GET /health HTT", &half] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        open.push(stream);
    }
    let began = Instant::now();
    assert!(server.terminate().await.success());
    // Far below the time that requests in flight are given.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_ends_closes_its_sockets_and_does_not_wait_for_them() {
    let mut server = TestServer::start().await;
    let mut polite = server.socket("ann").await;
    // One that never reads, and so never answers the closing handshake.
    let token = server.folder.token("bob");
    let deaf = socket::open(server.address(), "/ws", Some(&token), None)
        .await
        .unwrap();
    assert!(server.terminate().await.success());
    polite.closed().await;
    drop(deaf);
}
