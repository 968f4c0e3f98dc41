//! Unread counts: always what a brute-force count says.

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use tests::model::Model;
use tests::{Client, TestServer, report};

#[tokio::test]
async fn reading_moves_the_mark_and_never_back() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let chat = ann.direct("bob").await.id;
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(ann.say(&chat, &number.to_string()).await);
    }
    let unread = async |client: &Client| client.conversation(&chat).await.unread_count;
    assert_eq!((unread(&ann).await, unread(&bob).await), (0, 5));
    assert_eq!(bob.read(&chat, Some(&sent[1].id)).await, 3);
    assert_eq!(unread(&bob).await, 3);
    assert_eq!(bob.read(&chat, Some(&sent[0].id)).await, 3, "the mark went back");
    let member = |c: tests::shapes::Conversation| c.members.into_iter().find(|m| m.user_id == "bob").unwrap();
    assert!(
        member(ann.conversation(&chat).await).last_read_at.is_some(),
        "when bob read is not known"
    );
    assert_eq!(bob.read(&chat, None).await, 0);
    assert_eq!(unread(&bob).await, 0);
    ann.say(&chat, "one more").await;
    assert_eq!(unread(&bob).await, 1);
    bob.say(&chat, "my own word").await;
    assert_eq!(
        (unread(&ann).await, unread(&bob).await),
        (1, 0),
        "one's own message moves one's mark"
    );
    let answer = ann
        .post("/conversations/messages/read", &json!({"conversationId": chat}))
        .send()
        .await;
    assert!(answer.expect(200).sequence() > 0);
}

#[tokio::test]
async fn reading_what_is_read_is_recorded_nowhere_and_told_to_nobody() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let chat = ann.direct("bob").await.id;
    let read = async |client: &Client, message: Option<&str>| {
        let body = json!({"conversationId": chat, "messageId": message});
        let answer = client.post("/conversations/messages/read", &body).send().await;
        let answer = answer.expect(200);
        assert_eq!(answer.json::<serde_json::Value>()["unreadCount"], 0);
        answer.sequence()
    };
    let first = ann.say(&chat, "one").await;
    let last = ann.say(&chat, "two").await;
    let mut socket = server.socket("ann").await;
    let moved = read(&bob, None).await;
    assert_eq!(socket.wait("messages_read").await["messageId"], last.id.as_str());
    for _ in 0..20 {
        for message in [None, Some(last.id.as_str()), Some(first.id.as_str())] {
            assert_eq!(read(&bob, message).await, moved, "a mark that stood was recorded");
        }
    }
    // The sender has read it by sending it.
    assert_eq!(read(&ann, None).await, moved);
    let mut of_bob = server.socket("bob").await;
    let marked = of_bob
        .call("mark_as_read", &json!({"conversationId": chat}))
        .await;
    assert_eq!(marked["success"], true);
    // What is new counts, and comes right behind: nothing was recorded or told in between.
    let new = ann
        .post_message(&chat, "three")
        .send()
        .await
        .expect(201)
        .sequence();
    assert_eq!(new, moved + 1);
    socket.new_message().await;
    assert!(!socket.has("messages_read"));
    assert_eq!(read(&bob, None).await, new + 1);
    socket.wait("messages_read").await;
    // A message that does not exist is refused all the same.
    let body = json!({"conversationId": chat, "messageId": format!("{chat}ZZ")});
    let refused = bob.post("/conversations/messages/read", &body).send().await;
    refused.expect(422).problem();
}

#[tokio::test]
async fn random_sends_and_reads_give_what_a_brute_force_fold_gives() {
    let seed: u64 = rand::rng().random();
    report(&format!("unread counts with seed {seed}"));
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = TestServer::start().await;
    let users = ["ann", "bob", "cat", "dan"];
    let clients = |server: &TestServer| users.map(|user| server.client(user));
    let mut all = clients(&server);
    let mut model = Model::default();
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for number in 0..4 {
        let members: Vec<usize> = (0..users.len())
            .filter(|index| *index == 0 || index % 4 != number)
            .collect();
        let names: Vec<_> = members.iter().map(|index| users[*index]).collect();
        let id = all[0].group(&format!("Group {number}"), &names[1..]).await.id;
        model.created(&id, &names);
        groups.push((id, members));
    }
    for step in 0..400 {
        let (id, members) = &groups[random.random_range(0..groups.len())];
        let who = members[random.random_range(0..members.len())];
        match random.random_range(0..10) {
            0..6 => {
                let text = format!("step {step}");
                let ordinal = model.sent(id, users[who], &text);
                assert_eq!(all[who].say(id, &text).await.ordinal, ordinal as u64);
            }
            6..9 if model.messages(id) > 0 => {
                let up_to = random.random_range(1..=model.messages(id));
                let message = &all[who].messages(id).await[up_to - 1].id;
                model.read(id, users[who], up_to);
                let unread = all[who].read(id, Some(message)).await;
                assert_eq!(
                    unread,
                    model.unread(id, users[who]) as u64,
                    "seed {seed}, step {step}"
                );
            }
            _ => {
                model.read(id, users[who], model.messages(id));
                assert_eq!(all[who].read(id, None).await, 0, "seed {seed}, step {step}");
            }
        }
        if step == 200 {
            server.restart().await;
            all = clients(&server);
        }
    }
    compare(&all, &users, &model, seed).await;
    server.rebuild().await;
    compare(&clients(&server), &users, &model, seed).await;
}

async fn compare(clients: &[Client], users: &[&str], model: &Model, seed: u64) {
    for (client, user) in clients.iter().zip(users) {
        let list = client.conversations().await;
        let rows: Vec<_> = list
            .into_iter()
            .map(|c| (c.id, c.last_message, c.unread_count as usize))
            .collect();
        assert_eq!(rows, model.list(user), "the list of {user}, seed {seed}");
    }
}
