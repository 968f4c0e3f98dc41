//! Two nodes send to one conversation at the same time: one order, without a hole, that keeps each one's own.

use std::time::Instant;

use tests::deployment::is_cluster;
use tests::ledger::{Ledger, check};
use tests::load::Way;
use tests::{Client, Nodes, Socket, eventually, report};

const EACH: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_clients_of_two_nodes_make_one_order() {
    if !is_cluster() {
        return;
    }
    let nodes = Nodes::start().await;
    let names: Vec<_> = (0..8).map(|number| format!("client{number}")).collect();
    let members: Vec<_> = names.iter().map(String::as_str).collect();
    let chat = nodes.one().client("client0").group("Crowd", &members).await.id;
    let start = Instant::now();
    let mut senders = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let node = nodes.both()[index % 2];
        // Half of each node's clients wait for each answer, the others have many on their way.
        let way = if index % 4 < 2 { Way::Http } else { Way::Socket(64) };
        let (address, token) = (node.address().to_owned(), node.folder.token(name));
        let mut ledger = Ledger::new(name, std::slice::from_ref(&chat));
        senders.push(tokio::spawn(async move {
            let enough = |ledger: &Ledger| ledger.issued() >= EACH;
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
            assert!(outcome.is_ok(), "{} was refused or cut off", ledger.user);
            ledger
        }));
    }
    let mut ledgers = Vec::new();
    for sender in senders {
        ledgers.push(sender.await.unwrap());
    }
    let took = start.elapsed();
    let slowest = ledgers.iter().map(|ledger| ledger.slowest).max();
    report(&format!(
        "8,000 messages of eight clients on two nodes in {took:?}, {:.0}/s, the slowest in {:?}; conflicts: {}",
        8_000.0 / took.as_secs_f64(),
        slowest.unwrap_or_default(),
        conflicts(&nodes).await,
    ));
    assert!(ledgers.iter().all(|ledger| ledger.acknowledged.len() == 1_000));
    let mut all = Vec::new();
    for node in nodes.both() {
        node.settled().await;
        let client = node.client("client0");
        // A node that stands by hears a little later how far the read models are.
        let messages = eventually("the node has everything", || async {
            let messages = client.messages(&chat).await;
            match messages.len() {
                8_000.. => Ok(messages),
                fewer => Err(format!("{fewer} messages")),
            }
        })
        .await;
        assert_eq!(messages.len(), 8_000);
        check(&ledgers, &chat, &messages);
        assert!(messages.is_sorted_by_key(|message| tests::shapes::instant(&message.created_at)));
        all.push(messages);
    }
    assert!(all[0] == all[1], "the nodes serve different messages");
}

/// What the nodes say of conflicts, if they count them.
async fn conflicts(nodes: &Nodes) -> String {
    let mut found = Vec::new();
    for node in nodes.both() {
        let figures = node.anonymous().get("/metrics").send().await.expect(200).text();
        let counted = |line: &&str| !line.starts_with('#') && line.contains("conflict");
        found.extend(figures.lines().filter(counted).map(str::to_owned));
    }
    if found.is_empty() {
        return "not counted by the nodes".to_owned();
    }
    found.join(", ")
}
