//! What becomes of messages: new texts, deletion, reactions, receipts, and pages around one.

use serde_json::{Value, json};
use tests::client::text;
use tests::shapes::{Message, MessagePage};
use tests::{Client, TestServer, eventually};

fn path(message: &Message) -> String {
    format!("/conversations/messages/{}", message.id)
}

async fn get(client: &Client, path: &str) -> Value {
    client.get(path).send().await.expect(200).json()
}

async fn found(client: &Client, words: &str, expected: usize) {
    eventually(&format!("{words} is found {expected} times"), || async {
        let found = client.search(words).await.data.len();
        if found == expected {
            Ok(())
        } else {
            Err(format!("{found} hits"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_text_is_written_anew_and_keeps_its_history() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let group = ann.group("Garden", &["bob"]).await.id;
    let sent = ann.say(&group, "first quokka").await;
    let mut socket = server.socket("bob").await;
    let answer = ann
        .put(&path(&sent), &json!({"content": "second wombat"}))
        .send()
        .await
        .expect(200);
    let edited: Message = answer.json();
    assert_eq!(
        (edited.content.as_deref(), edited.is_edited, &edited.id),
        (Some("second wombat"), true, &sent.id)
    );
    let frame = socket.wait("message_edited").await;
    assert_eq!(frame["message"]["content"], "second wombat");
    assert_eq!(frame["message"]["id"], sent.id);
    assert_eq!(bob.messages(&group).await, std::slice::from_ref(&edited));
    let alone: Message = bob.get(&path(&sent)).send().await.expect(200).json();
    assert_eq!(alone, edited);
    assert_eq!(
        bob.conversation(&group).await.last_message.as_deref(),
        Some("second wombat")
    );
    let history = get(&bob, &format!("{}/history", path(&sent))).await;
    let texts: Vec<_> = history["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["content"].clone())
        .collect();
    assert_eq!(texts, ["first quokka", "second wombat"]);
    assert_eq!(
        (&history["data"][1]["version"], &history["data"][0]["editedAt"]),
        (&json!(2), &json!(sent.created_at))
    );
    found(&bob, "wombat", 1).await;
    found(&bob, "quokka", 0).await;
    bob.put(&path(&sent), &json!({"content": "mine"}))
        .send()
        .await
        .expect(403)
        .problem();
    for bad in [
        json!({"content": ""}),
        json!({}),
        json!({"content": "x".repeat(10_001)}),
    ] {
        ann.put(&path(&sent), &bad).send().await.expect(422).problem();
    }
}

#[tokio::test]
async fn what_is_deleted_for_everyone_says_nothing_any_more() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let group = ann.group("Garden", &["bob"]).await.id;
    let sent = bob.say(&group, "quokka secret").await;
    bob.put(&path(&sent), &json!({"content": "quokka secret, better"}))
        .send()
        .await
        .expect(200);
    let mut reply = text(&group, "an answer");
    reply["replyToId"] = sent.id.clone().into();
    let reply: Message = ann
        .post("/conversations/messages", &reply)
        .send()
        .await
        .expect(201)
        .json();
    let preview = get(&bob, &path(&reply)).await;
    assert_eq!(preview["replyTo"]["content"], "quokka secret, better");
    ann.post(&format!("{}/react", path(&sent)), &json!({"emoji": "👍"}))
        .send()
        .await
        .expect(200);
    found(&ann, "quokka", 1).await;
    let unread = ann.conversation(&group).await.unread_count;
    let mut socket = server.socket("ann").await;
    let everyone = format!("{}?forEveryone=true", path(&sent));
    let gone: Value = ann.delete(&everyone).send().await.expect(200).json();
    assert_eq!(
        (
            &gone["content"],
            &gone["isDeleted"],
            &gone["deletedForEveryone"],
            &gone["reactions"]
        ),
        (&Value::Null, &json!(true), &json!(true), &json!([]))
    );
    assert!(gone["deletedAt"].is_string() && gone["isEdited"] == false);
    let frame = socket.wait("message_deleted").await;
    assert_eq!(
        (&frame["messageId"], &frame["userId"]),
        (&json!(sent.id), &json!("ann"))
    );
    let left = get(&bob, &format!("/conversations/{group}/messages")).await;
    let left = left["data"].to_string() + &get(&bob, &path(&reply)).await.to_string();
    assert!(!left.contains("quokka"), "{left}");
    assert_eq!(get(&bob, &path(&reply)).await["replyTo"]["isDeleted"], true);
    let history = get(&bob, &format!("{}/history", path(&sent))).await;
    assert_eq!(history, json!({"data": [], "isDeleted": true}));
    let stats = get(&bob, &format!("{}/reactions/stats", path(&sent))).await;
    assert_eq!(stats["total"], 0);
    found(&ann, "quokka", 0).await;
    assert_eq!(ann.conversation(&group).await.unread_count, unread);
    // Again it is the same, and nothing can be done with it.
    bob.delete(&everyone).send().await.expect(200);
    bob.put(&path(&sent), &json!({"content": "back"}))
        .send()
        .await
        .expect(422)
        .problem();
    bob.post(&format!("{}/react", path(&sent)), &json!({"emoji": "👍"}))
        .send()
        .await
        .expect(422)
        .problem();
}

/// Neither to who was away meanwhile, nor to who repeats the send.
#[tokio::test]
async fn what_was_deleted_meanwhile_is_told_to_nobody() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let direct = ann.direct("bob").await.id;
    let mut socket = server.socket("bob").await;
    ann.say(&direct, "before").await;
    let cursor = socket.next().await.unwrap().cursor.unwrap();
    socket.close().await;
    let mut body = text(&direct, "quokka secret");
    body["tempId"] = "once".into();
    let sent: Message = ann
        .post("/conversations/messages", &body)
        .send()
        .await
        .expect(201)
        .json();
    ann.put(&path(&sent), &json!({"content": "quokka again"}))
        .send()
        .await
        .expect(200);
    ann.delete(&format!("{}?forEveryone=true", path(&sent)))
        .send()
        .await
        .expect(200);
    let after = ann.say(&direct, "after").await;
    let mut socket = server.resume("bob", &cursor).await;
    let missed = socket.new_message().await;
    assert_eq!((&missed.id, &missed.content), (&sent.id, &None));
    let edited = socket.wait("message_edited").await;
    assert_eq!(edited["message"]["content"], Value::Null);
    assert_eq!(socket.wait("message_deleted").await["messageId"], sent.id);
    assert_eq!(socket.new_message().await, after);
    let repeated: Value = ann
        .post("/conversations/messages", &body)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&repeated["id"], &repeated["content"], &repeated["isDeleted"]),
        (&json!(sent.id), &Value::Null, &json!(true))
    );
}

#[tokio::test]
async fn deleting_what_is_unread_makes_it_not_unread() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let direct = ann.direct("bob").await.id;
    let first = ann.say(&direct, "one").await;
    ann.say(&direct, "two").await;
    assert_eq!(bob.conversation(&direct).await.unread_count, 2);
    bob.delete(&format!("{}?forEveryone=true", path(&first)))
        .send()
        .await
        .expect(403)
        .problem();
    ann.delete(&format!("{}?forEveryone=true", path(&first)))
        .send()
        .await
        .expect(200);
    assert_eq!(bob.conversation(&direct).await.unread_count, 1);
    assert_eq!(bob.read(&direct, None).await, 0);
    let again = json!({"conversationId": direct, "messageId": first.id});
    let answer = bob
        .post("/conversations/messages/unread", &again)
        .send()
        .await
        .expect(200);
    assert_eq!(answer.json::<Value>()["unreadCount"], 1);
    bob.delete(&format!("{}?forEveryone=maybe", path(&first)))
        .send()
        .await
        .expect(422)
        .problem();
}

#[tokio::test]
async fn a_reaction_is_toggled_and_counted() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let direct = ann.direct("bob").await.id;
    let sent = ann.say(&direct, "hello").await;
    let react = format!("{}/react", path(&sent));
    let mut socket = server.socket("ann").await;
    let body = json!({"emoji": "👍"});
    let added: Value = bob.post(&react, &body).send().await.expect(200).json();
    assert_eq!(
        (&added["action"], &added["reaction"]["userId"]),
        (&json!("added"), &json!("bob"))
    );
    let frame = socket.wait("message_reaction_updated").await;
    assert_eq!(
        (&frame["action"], &frame["emoji"]),
        (&json!("added"), &json!("👍"))
    );
    ann.post(&react, &body).send().await.expect(200);
    ann.post(&react, &json!({"emoji": ":party_parrot:"}))
        .send()
        .await
        .expect(200);
    let message = get(&ann, &path(&sent)).await;
    let expected = json!([{"emoji": "👍", "count": 2, "mine": true}, {"emoji": ":party_parrot:", "count": 1, "mine": true}]);
    assert_eq!(message["reactions"], expected);
    let stats = get(&bob, &format!("{}/reactions/stats", path(&sent))).await;
    assert_eq!((&stats["total"], &stats["mine"]), (&json!(3), &json!(["👍"])));
    assert_eq!(
        stats["byEmoji"]["👍"],
        json!({"count": 2, "userIds": ["bob", "ann"]})
    );
    let removed: Value = bob.post(&react, &body).send().await.expect(200).json();
    assert_eq!(
        (&removed["action"], removed.get("reaction")),
        (&json!("removed"), None)
    );
    let taken: Value = ann
        .delete(&format!("{react}?emoji=%F0%9F%91%8D"))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(taken["action"], "removed");
    ann.delete(&format!("{react}?emoji=%F0%9F%91%8D"))
        .send()
        .await
        .expect(200);
    let stats = get(&bob, &format!("{}/reactions/stats", path(&sent))).await;
    assert_eq!(stats["total"], 1);
    for bad in [
        json!({"emoji": "👍👍"}),
        json!({"emoji": ""}),
        json!({"emoji": "two words"}),
        json!({}),
    ] {
        bob.post(&react, &bad).send().await.expect(422).problem();
    }
    ann.delete(&react).send().await.expect(422).problem();
    // A repeat with a key does not take it back.
    for _ in 0..3 {
        let call = bob.post(&react, &body).header("idempotency-key", "once");
        let repeated: Value = call.send().await.expect(200).json();
        assert_eq!(repeated["action"], "added");
    }
    let other = bob
        .post(&react, &json!({"emoji": "🎉"}))
        .header("idempotency-key", "once");
    other.send().await.expect(422).problem();
}

#[tokio::test]
async fn receipts_say_who_has_read_and_since_when() {
    let server = TestServer::start().await;
    let (ann, bob, cid) = (server.client("ann"), server.client("bob"), server.client("cid"));
    let group = ann.group("Garden", &["bob", "cid", "dan"]).await.id;
    let sent = ann.say(&group, "hello").await;
    let receipts = format!("{}/read-receipts/stats", path(&sent));
    let stats = get(&ann, &receipts).await;
    assert_eq!(
        stats,
        json!({"totalMembers": 3, "readCount": 0, "unreadCount": 3, "readBy": [],
            "pagination": {"limit": 100, "hasMore": false, "nextCursor": null}})
    );
    bob.read(&group, Some(&sent.id)).await;
    cid.say(&group, "hi").await;
    let stats = get(&ann, &receipts).await;
    assert_eq!(
        (&stats["readCount"], &stats["unreadCount"]),
        (&json!(2), &json!(1))
    );
    let readers: Vec<_> = stats["readBy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["userId"].clone())
        .collect();
    assert_eq!(readers, ["bob", "cid"]);
    assert!(stats["readBy"][0]["readAt"].is_string());
    // One reader a page.
    let first = get(&ann, &format!("{receipts}?limit=1")).await;
    let next = first["pagination"]["nextCursor"].as_str().unwrap();
    let second = get(&ann, &format!("{receipts}?limit=1&cursor={next}")).await;
    assert_eq!(
        (&first["readBy"][0], &second["readBy"][0]),
        (&stats["readBy"][0], &stats["readBy"][1])
    );
    assert_eq!(second["pagination"]["hasMore"], false);
    assert_eq!(second["readCount"], 2);
}

#[tokio::test]
async fn every_type_of_message_has_its_shape() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let direct = ann.direct("bob").await.id;
    let mut socket = server.socket("bob").await;
    let file = |kind: &str| {
        json!({"type": kind, "fileName": "a.bin", "fileUrl": "https://example.org/a.bin", "fileSize": 10,
            "mimeType": "application/octet-stream", "width": 3, "height": 4, "duration": 1.5})
    };
    let place = json!({"latitude": 21.0285, "longitude": 105.8542, "name": "Hà Nội"});
    let contact = json!({"name": "Cid", "phoneNumbers": ["+84 1"]});
    let good = [
        json!({"type": "IMAGE", "attachments": [file("IMAGE")], "content": "look"}),
        json!({"type": "VIDEO", "attachments": [file("VIDEO")]}),
        json!({"type": "AUDIO", "attachments": [file("AUDIO")]}),
        json!({"type": "FILE", "attachments": vec![file("DOCUMENT"); 10]}),
        json!({"type": "STICKER", "sticker": {"id": "wave", "packId": "hands"}}),
        json!({"type": "LOCATION", "location": place}),
        json!({"type": "CONTACT", "contact": contact}),
        json!({"content": "with a file", "attachments": [file("DOCUMENT")]}),
    ];
    for body in &good {
        let mut call = body.clone();
        call["conversationId"] = direct.clone().into();
        let sent: Value = ann
            .post("/conversations/messages", &call)
            .send()
            .await
            .expect(201)
            .json();
        let heard = socket.wait("new_message").await["message"].take();
        let kept = get(
            &bob,
            &format!("/conversations/messages/{}", sent["id"].as_str().unwrap()),
        )
        .await;
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(
                (&sent[name], &heard[name], &kept[name]),
                (value, value, value),
                "{name}"
            );
        }
    }
    let stats = get(&bob, &format!("/conversations/{direct}/messages/stats")).await;
    assert_eq!(
        (&stats["attachments"], &stats["byType"]["LOCATION"]),
        (&json!(14), &json!(1))
    );
    let without = |field: &str| {
        let mut file = file("IMAGE");
        file.as_object_mut().unwrap().remove(field);
        file
    };
    let with = |field: &str, value: Value| {
        let mut file = file("IMAGE");
        file[field] = value;
        file
    };
    let image = |file: Value| json!({"type": "IMAGE", "attachments": [file]});
    let bad = [
        json!({"type": "IMAGE", "content": "no file"}),
        json!({"type": "TEXT", "attachments": [file("IMAGE")]}),
        json!({"type": "FILE", "attachments": vec![file("DOCUMENT"); 11]}),
        json!({"type": "LOCATION", "location": {"latitude": 91, "longitude": 0}}),
        json!({"type": "LOCATION", "content": "here"}),
        json!({"type": "LOCATION", "location": place, "content": "here"}),
        json!({"type": "CONTACT", "contact": {"name": "Cid"}}),
        json!({"type": "STICKER", "contact": contact}),
        json!({"type": "STICKER", "sticker": {"id": "a"}, "contact": contact}),
        json!({"content": "hi", "sticker": {"id": "a"}}),
        json!({"type": "POEM", "content": "hi"}),
        image(without("fileName")),
        image(without("fileUrl")),
        image(with("fileUrl", json!("http://example.org/a"))),
        image(with("fileUrl", json!("javascript:alert(1)"))),
        image(with("fileSize", json!(100 * 1024 * 1024 + 1))),
        image(with("fileSize", json!(0))),
        image(with("type", json!("FILE"))),
        image(with("mimeType", json!("png"))),
        image(with("duration", json!(-1))),
    ];
    for body in bad {
        let mut call = body.clone();
        call["conversationId"] = direct.clone().into();
        let answer = ann.post("/conversations/messages", &call).send().await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text());
        answer.problem();
    }
    assert_eq!(ann.messages(&direct).await.len(), good.len());
}

#[tokio::test]
async fn pages_go_around_a_message() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let group = ann.group("Garden", &["bob"]).await.id;
    let mut sent = Vec::new();
    for number in 0..9 {
        sent.push(ann.say(&group, &format!("message {number}")).await);
    }
    let around = |index: usize, limit: usize| {
        let (path, ann) = (
            format!(
                "/conversations/{group}/messages?around={}&limit={limit}",
                sent[index].id
            ),
            &ann,
        );
        async move {
            let page: MessagePage = ann.get(&path).send().await.expect(200).json();
            (
                page.data.iter().map(|m| m.ordinal).collect::<Vec<_>>(),
                page.has_more,
            )
        }
    };
    assert_eq!(around(4, 5).await, (vec![3, 4, 5, 6, 7], true));
    assert_eq!(around(8, 4).await, (vec![6, 7, 8, 9], true));
    assert_eq!(around(0, 5).await, (vec![1, 2, 3], true));
    assert_eq!(around(4, 100).await, ((1..=9).collect(), false));
    let both = format!(
        "/conversations/{group}/messages?around={0}&before={0}",
        sent[1].id
    );
    ann.get(&both).send().await.expect(400).problem();
    let stats = get(&ann, &format!("/conversations/{group}/messages/stats")).await;
    assert_eq!(
        (&stats["total"], &stats["byUser"], &stats["byType"]),
        (&json!(9), &json!({"ann": 9}), &json!({"TEXT": 9}))
    );
    assert_eq!(
        stats["byDay"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum::<u64>(),
        9
    );
    assert_eq!(stats["firstMessageAt"], sent[0].created_at);
}
