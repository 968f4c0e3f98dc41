//! The same thing asked of both nodes at once is done once.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde_json::json;
use tests::client::text;
use tests::deployment::is_cluster;
use tests::shapes::{Conversation, Message};
use tests::{Nodes, report};

/// So many people have 1,035 pairs.
const PEOPLE: usize = 46;
const PAIRS: usize = 1_000;
/// Pairs that are created at a time.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_temp_id_on_both_nodes_at_once_is_one_message() {
    if !is_cluster() {
        return;
    }
    let nodes = Nodes::start().await;
    let [one, other] = nodes.both().map(|node| node.client("ann"));
    let chat = one.group("Garden", &["bob"]).await.id;
    let mut sent = Vec::new();
    for number in 0..100 {
        let mut body = text(&chat, &format!("message {number}"));
        body["tempId"] = json!(format!("t-{number}"));
        let call = |client: &tests::Client| client.post("/conversations/messages", &body).send();
        let (first, second) = tokio::join!(call(&one), call(&other));
        let [first, second]: [Message; 2] =
            [first, second].map(|answer| answer.expect_any(&[200, 201]).json());
        assert_eq!(first, second, "message {number} became two");
        assert_eq!(first.ordinal, number + 1);
        sent.push(first);
    }
    for client in [&one, &other] {
        assert_eq!(client.acknowledged_messages(&chat).await, sent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_conversation_created_on_both_nodes_at_once_is_one() {
    if !is_cluster() {
        return;
    }
    let nodes = Nodes::start().await;
    let names: Vec<_> = (0..PEOPLE).map(|number| format!("person{number}")).collect();
    let clients = nodes
        .both()
        .map(|node| names.iter().map(|name| node.client(name)).collect::<Vec<_>>());
    let pairs = (0..PEOPLE).flat_map(|a| (a + 1..PEOPLE).map(move |b| (a, b)));
    let start = std::time::Instant::now();
    let created: Vec<_> = stream::iter(pairs.take(PAIRS))
        .map(|(a, b)| {
            let (names, clients) = (&names, &clients);
            // On one node the one asks for it, on the other the other.
            let ask = move |node: usize, who: usize, whom: usize| {
                let body = json!({"recipientId": names[whom]});
                clients[node][who].post("/conversations/direct", &body).send()
            };
            async move {
                let answers = tokio::join!(ask(0, a, b), ask(1, b, a));
                let statuses = (answers.0.status, answers.1.status);
                let [one, other]: [Conversation; 2] =
                    [answers.0, answers.1].map(|answer| answer.expect_any(&[200, 201]).json());
                assert_eq!(one.id, other.id, "{} and {} have two", names[a], names[b]);
                assert_ne!(statuses, (200, 200), "nobody created it");
                (a, b, one.id, statuses == (201, 201))
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let ids: BTreeSet<_> = created.iter().map(|(_, _, id, _)| id).collect();
    assert_eq!(ids.len(), PAIRS, "two pairs have the same conversation");
    let twice = created.iter().filter(|(.., both)| *both).count();
    report(&format!(
        "{PAIRS} direct conversations created on both nodes at once in {:?}; both were told that they did in {twice}",
        start.elapsed()
    ));
    assert_eq!(twice, 0, "both nodes say that they created it");
    for node in nodes.both() {
        node.settled().await;
    }
    for (who, name) in names.iter().enumerate() {
        let expected: BTreeSet<_> = created
            .iter()
            .filter(|(a, b, ..)| [*a, *b].contains(&who))
            .map(|(_, _, id, _)| id.clone())
            .collect();
        for client in [&clients[0][who], &clients[1][who]] {
            let list = client.conversations().await;
            assert_eq!(list.len(), expected.len(), "the list of {name}");
            assert!(
                list.iter().all(|c| expected.contains(&c.id)),
                "the list of {name}"
            );
        }
    }
}
