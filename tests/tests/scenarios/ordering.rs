//! Many at once in one conversation: one order, without a hole, that keeps each one's own.

use std::time::Instant;

use tests::ledger::{Ledger, check};
use tests::load::Way;
use tests::{Client, Socket, TestServer, report};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_clients_with_a_thousand_messages_each_make_one_order() {
    let server = TestServer::start().await;
    let names: Vec<_> = (0..8).map(|number| format!("client{number}")).collect();
    let members: Vec<_> = names.iter().map(String::as_str).collect();
    let chat = server.client("client0").group("Crowd", &members).await.id;
    let start = Instant::now();
    let mut senders = Vec::new();
    for (index, name) in names.iter().enumerate() {
        // Half of them wait for each answer, the others have many on their way.
        let way = if index % 2 == 0 {
            Way::Http
        } else {
            Way::Socket(64)
        };
        let (address, token) = (server.address().to_owned(), server.folder.token(name));
        let mut ledger = Ledger::new(name, std::slice::from_ref(&chat));
        senders.push(tokio::spawn(async move {
            let enough = |ledger: &Ledger| ledger.issued() >= 1_000;
            let outcome = match way {
                Way::Http | Way::Calm => {
                    ledger
                        .send_http(&Client::new(&address, Some(&token)), enough)
                        .await
                }
                Way::Socket(window) => {
                    let mut socket = Socket::connect(&address, &token).await;
                    ledger.send_socket(&mut socket, window, enough).await
                }
            };
            assert!(outcome.is_ok(), "the connection broke");
            ledger
        }));
    }
    let mut ledgers = Vec::new();
    for sender in senders {
        ledgers.push(sender.await.unwrap());
    }
    report(&format!(
        "8,000 messages of eight clients at once in {:?}",
        start.elapsed()
    ));
    server.settled().await;
    let messages = server.client("client0").acknowledged_messages(&chat).await;
    assert_eq!(messages.len(), 8_000);
    assert!(ledgers.iter().all(|ledger| ledger.acknowledged.len() == 1_000));
    check(&ledgers, &chat, &messages);
    assert!(messages.is_sorted_by_key(|message| tests::shapes::instant(&message.created_at)));
}
