//! Groups of 10,000: founded and filled by one request, read by all of them at little cost.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tests::{TestServer, eventually, report};

const CROWD: usize = 10_000;

fn names(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|number| format!("member-{number:0>40}")).collect()
}

async fn all_members(client: &tests::Client, group: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/conversations/{group}/members?limit=100{cursor}");
        let page: Value = client.get(&path).send().await.expect(200).json();
        let ids = page["data"].as_array().unwrap().iter();
        all.extend(ids.map(|member| member["userId"].as_str().unwrap().to_owned()));
        match page["pagination"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", tests::client::encode(next)),
            None => return all,
        }
    }
}

#[tokio::test]
async fn ten_thousand_are_added_by_one_request_and_found_by_a_repeat() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let crowd = names(0, CROWD);
    let body = json!({"name": "Stadium", "memberIds": crowd});
    let began = Instant::now();
    let call = ann
        .post("/conversations/group", &body)
        .header("Idempotency-Key", "stadium");
    let group: Value = call.send().await.expect(201).json();
    report(&format!(
        "a group of {CROWD} was founded in {:?}",
        began.elapsed()
    ));
    assert_eq!(group["memberCount"], CROWD + 1);
    let id = group["id"].as_str().unwrap();
    let found: BTreeSet<_> = all_members(&ann, id).await.into_iter().collect();
    assert_eq!(found, crowd.iter().cloned().chain(["ann".to_owned()]).collect());
    let call = ann
        .post("/conversations/group", &body)
        .header("Idempotency-Key", "stadium");
    let again: Value = call.send().await.expect(201).json();
    assert_eq!(again["id"], group["id"]);

    // As many again, some of them there already; at most 10,000 are named at once.
    let more = names(CROWD - 10, 2 * CROWD - 10);
    let members = format!("/conversations/{id}/members");
    let body = json!({"memberIds": more});
    let began = Instant::now();
    let call = ann.post(&members, &body).header("Idempotency-Key", "more");
    let added: Value = call.send().await.expect(201).json();
    report(&format!("{CROWD} were added in {:?}", began.elapsed()));
    let ids = added["data"].as_array().unwrap().iter();
    assert!(ids.map(|member| member["userId"].as_str().unwrap()).eq(&more));
    let call = ann.post(&members, &body).header("Idempotency-Key", "more");
    let again: Value = call.send().await.expect(201).json();
    assert_eq!(again, added);
    let group = ann.conversation(id).await;
    assert_eq!(group.member_count, 2 * CROWD as u64 - 10 + 1);
    let too_many = json!({"memberIds": names(0, CROWD + 1)});
    let refused = ann.post(&members, &too_many).send().await.expect(422);
    assert_eq!(refused.problem()["code"], "too_many_members");

    // Each of them is a member like any other, live, too.
    let last = &more[CROWD - 1];
    let mut socket = server.socket(last).await;
    let sent = ann.say(id, "hello, everyone").await;
    assert_eq!(socket.new_message().await, sent);
    assert_eq!(server.client(last).conversation(id).await.unread_count, 1);
}

#[tokio::test]
async fn ten_thousand_read_a_message_and_nobody_is_flooded() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let crowd = names(0, CROWD);
    let body = json!({"name": "Stadium", "memberIds": crowd});
    let group: Value = ann
        .post("/conversations/group", &body)
        .send()
        .await
        .expect(201)
        .json();
    let id = group["id"].as_str().unwrap();
    let mut author = server.socket("ann").await;
    let mut bystander = server.socket(&crowd[0]).await;
    let sent = ann.say(id, "read me").await;
    assert_eq!(author.new_message().await, sent);
    assert_eq!(bystander.new_message().await, sent);

    let began = Instant::now();
    let (anyone, body) = (
        server.anonymous(),
        json!({"conversationId": id, "messageId": sent.id}),
    );
    let reads = crowd[1..].iter().map(|name| {
        let bearer = format!("Bearer {}", server.folder.token(name));
        let call = anyone.post("/conversations/messages/read", &body);
        let call = call.header("authorization", &bearer);
        async move {
            call.send().await.expect(200).json::<Value>()["unreadCount"]
                .as_u64()
                .unwrap()
        }
    });
    let unread: u64 = stream::iter(reads)
        .buffer_unordered(200)
        .fold(0, async |all, one| all + one)
        .await;
    report(&format!(
        "{} members read a message in {:?}",
        CROWD - 1,
        began.elapsed()
    ));
    assert_eq!(unread, 0);

    let receipts = format!("/conversations/messages/{}/read-receipts/stats", sent.id);
    let stats = eventually("all have read it", async || {
        let stats: Value = ann.get(&receipts).send().await.expect(200).json();
        if stats["readCount"] == CROWD - 1 {
            Ok(stats)
        } else {
            Err(stats["readCount"].to_string())
        }
    })
    .await;
    assert_eq!(
        (&stats["totalMembers"], &stats["unreadCount"]),
        (&json!(CROWD), &json!(1))
    );
    // The author hears of reads from time to time, and who has nothing to do with it of none.
    let last = ann.say(id, "thank you").await;
    let mut told = 0;
    loop {
        let frame = author.next().await.unwrap();
        match frame.event.as_str() {
            "messages_read" => told += 1,
            "new_message" if frame.data["message"]["id"] == json!(last.id) => break,
            _ => {}
        }
    }
    report(&format!("the author was told {told} times"));
    loop {
        let frame = bystander.next().await.unwrap();
        assert_ne!(frame.event, "messages_read", "{frame:?}");
        if frame.event == "new_message" {
            break;
        }
    }
}
