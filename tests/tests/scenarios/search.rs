//! Search: words and phrases, folded and exact, in what one may see and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tests::answers::caught_up;
use tests::client::encode;
use tests::shapes::Message;
use tests::{Client, TestServer, eventually};

#[tokio::test]
async fn words_are_found_whatever_their_case_and_diacritics() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let mut ids = Vec::new();
    let texts = [
        "Hẹn gặp ở Đà Nẵng",
        "hen gap o da nang",
        "GStreamer0.10 is out",
        "gstreamer!",
        "the gstreamer-plugins",
        "a gstreamers",
        "e\u{301}te\u{301}",
        "ÉTÉ",
        "снег и лёд",
    ];
    for text in texts {
        ids.push(ann.say(&chat, text).await.id);
    }
    let expected = [
        ("nang", &[0, 1][..]),
        ("NẴNG", &[0]),
        ("gstreamer", &[3, 4]),
        ("GSTREAMER", &[3, 4]),
        ("gstreamer0", &[2]),
        ("plugins", &[4]),
        ("ete", &[6, 7]),
        ("снег", &[8]),
        ("nothing", &[]),
    ];
    for (word, indices) in expected {
        let wanted: BTreeSet<_> = indices.iter().map(|index| ids[*index].clone()).collect();
        // With diacritics the exact form is what counts most; whether plain forms come after is free.
        if word.is_ascii() || word == "снег" {
            caught_up(&ann, word, &wanted).await;
        } else {
            let hits = ann.search_all(word).await.0;
            assert!(wanted.contains(&hits[0].id), "{word}: {hits:?}");
        }
    }
}

#[tokio::test]
async fn a_phrase_is_found_as_a_phrase_and_several_words_together() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let phrase = ann.say(&chat, "the cold beer is in the fridge").await;
    let reversed = ann.say(&chat, "beer should be cold").await;
    let chinese = ann.say(&chat, "我们明天去北京看长城").await;
    let one = |message: &Message| BTreeSet::from([message.id.clone()]);
    caught_up(&ann, "\"cold beer\"", &one(&phrase)).await;
    caught_up(
        &ann,
        "cold beer",
        &BTreeSet::from([phrase.id.clone(), reversed.id.clone()]),
    )
    .await;
    caught_up(&ann, "cold fridge", &one(&phrase)).await;
    caught_up(&ann, "北京", &one(&chinese)).await;
    caught_up(&ann, "京北", &BTreeSet::new()).await;
}

#[tokio::test]
async fn neither_hits_nor_counts_tell_of_what_one_may_not_see() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let shared = ann.group("Shared", &["bob"]).await.id;
    let private = ann.direct("cat").await.id;
    for _ in 0..3 {
        ann.say(&shared, "the secret is shared").await;
        ann.say(&private, "the secret is kept").await;
    }
    bob.say(&shared, "what secret?").await;
    let ids = |messages: Vec<Message>| messages.into_iter().map(|m| m.id).collect::<BTreeSet<_>>();
    let seen = ids(ann.messages(&shared).await);
    let all: BTreeSet<_> = seen.union(&ids(ann.messages(&private).await)).cloned().collect();
    caught_up(&ann, "secret", &all).await;
    let of_bob = caught_up(&bob, "secret", &seen).await;
    assert_eq!(of_bob["byConversation"], serde_json::json!({shared: 4}));
    assert_eq!(of_bob["byUser"], serde_json::json!({"ann": 3, "bob": 1}));
    assert_eq!(of_bob["byType"], serde_json::json!({"TEXT": 4}));
    for stranger in ["dan", "nobody"] {
        caught_up(&server.client(stranger), "secret", &BTreeSet::new()).await;
    }
    let elsewhere = tests::token::with(tests::token::claims("ann"), "tenant", "acme".into());
    let elsewhere = server.with_token(&tests::token::sign(&elsewhere, &server.folder.secret()));
    caught_up(&elsewhere, "secret", &BTreeSet::new()).await;
}

#[tokio::test]
async fn who_left_finds_nothing_from_then_on() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let left = ann.group("Left", &["bob"]).await.id;
    let kept = ann.group("Kept", &["bob"]).await.id;
    let mut sent = Vec::new();
    for chat in [&left, &kept] {
        sent.push(ann.say(chat, "a needle").await.id);
    }
    caught_up(&bob, "needle", &sent.iter().cloned().collect()).await;
    let path = format!("/conversations/{left}/leave");
    bob.call("DELETE", &path).send().await.expect(204);
    let page = bob.search("needle").await;
    assert_eq!(page.data.len(), 1);
    assert_eq!((&page.data[0].id, page.pagination.total), (&sent[1], Some(1)));
    assert_eq!(page.facets.by_conversation, BTreeMap::from([(kept, 1)]));
}

#[tokio::test]
async fn hits_are_paged_without_skip_or_repeat() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chats = [ann.direct("bob").await.id, ann.direct("cat").await.id];
    let mut expected = BTreeMap::new();
    for number in 0..45 {
        let sent = ann.say(&chats[number % 2], &format!("needle {number}")).await;
        expected.insert(sent.id.clone(), sent);
    }
    caught_up(&ann, "needle", &expected.keys().cloned().collect()).await;
    for limit in [7, 45] {
        let hits = paged(&ann, limit).await;
        let found: BTreeMap<_, _> = hits.iter().map(|hit| (hit.id.clone(), hit.clone())).collect();
        assert_eq!((hits.len(), found), (45, expected.clone()), "by {limit}");
    }
}

#[tokio::test]
async fn a_message_is_found_soon_after_it_was_sent() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let sent = ann.say(&chat, "a needle, just now").await;
    let hits = eventually("the message is found", || async {
        let hits = server.client("bob").search("needle").await.data;
        (!hits.is_empty()).then_some(hits).ok_or_else(String::new)
    })
    .await;
    assert_eq!(hits, [sent]);
}

async fn paged(client: &Client, limit: u64) -> Vec<Message> {
    let mut hits = Vec::new();
    let mut query = format!("q=needle&limit={limit}");
    loop {
        let page = client.search_page(&query).await;
        assert_eq!((page.pagination.limit, page.pagination.total), (limit, Some(45)));
        assert!(page.data.len() as u64 <= limit);
        hits.extend(page.data);
        match page.pagination.next_cursor {
            Some(cursor) if page.pagination.has_more => {
                query = format!("q=needle&limit={limit}&cursor={}", tests::client::encode(&cursor));
            }
            _ => return hits,
        }
    }
}

#[tokio::test]
async fn hits_of_many_conversations_are_newest_first() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    // In a cluster they lie in different shards. One of them is busy, so that its numbers run ahead.
    let busy = ann.direct("busy").await.id;
    for number in 0..30 {
        ann.say(&busy, &format!("chatter {number}")).await;
    }
    let mut sent = Vec::new();
    for number in 0..12 {
        let chat = ann.direct(&format!("friend{}", number % 6)).await.id;
        sent.push(ann.say(&chat, &format!("beacon {number}")).await.id);
        sent.push(ann.say(&busy, "a beacon in between").await.id);
    }
    sent.reverse();
    eventually("the messages are found", || async {
        let found: Vec<_> = ann
            .search_all("beacon")
            .await
            .0
            .into_iter()
            .map(|hit| hit.id)
            .collect();
        (found.len() == sent.len())
            .then_some(())
            .ok_or(found.len().to_string())
    })
    .await;
    let found: Vec<_> = ann
        .search_all("beacon")
        .await
        .0
        .into_iter()
        .map(|hit| hit.id)
        .collect();
    assert_eq!(found, sent);
}

#[tokio::test]
async fn a_search_is_narrowed_by_type_sender_conversation_and_time() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let garden = ann.group("Garden", &["bob"]).await.id;
    let direct = ann.direct("bob").await.id;
    let first = ann.say(&garden, "tomatoes in the garden").await;
    let second = bob.say(&garden, "tomatoes, too").await;
    let third = bob.say(&direct, "tomatoes between us").await;
    let file = json!({"conversationId": garden, "content": "tomatoes on a picture", "type": "IMAGE", "attachments": [
        {"type": "IMAGE", "fileName": "a.png", "fileUrl": "https://files.example.org/a.png"}]});
    let file = ann
        .post("/conversations/messages", &file)
        .send()
        .await
        .expect(201);
    let picture = file.json::<Message>();
    let found = async |filter: &str| {
        let page = ann.search_page(&format!("q=tomatoes{filter}")).await;
        assert_eq!(page.pagination.total, Some(page.data.len() as u64), "{filter}");
        assert_eq!(
            page.facets.by_type.values().sum::<u64>(),
            page.data.len() as u64,
            "{filter}"
        );
        let ids: BTreeSet<_> = page.data.into_iter().map(|hit| hit.id).collect();
        ids
    };
    let ids = |messages: &[&Message]| -> BTreeSet<_> {
        messages.iter().map(|message| message.id.clone()).collect()
    };
    eventually("all of it is in the index", || async {
        let count = found("").await.len();
        if count == 4 {
            Ok(())
        } else {
            Err(count.to_string())
        }
    })
    .await;
    assert_eq!(found("&type=IMAGE").await, ids(&[&picture]));
    assert_eq!(found("&fromUserId=bob").await, ids(&[&second, &third]));
    assert_eq!(found(&format!("&conversationId={direct}")).await, ids(&[&third]));
    assert_eq!(
        found(&format!("&fromUserId=ann&type=TEXT&conversationId={garden}")).await,
        ids(&[&first])
    );
    // Both ends are among what is asked for.
    let (from, to) = (encode(&second.created_at), encode(&third.created_at));
    let between = found(&format!("&dateFrom={from}&dateTo={to}")).await;
    assert!(between.is_superset(&ids(&[&second, &third])), "{between:?}");
    assert!(found("&dateFrom=2100-01-01T00:00:00Z").await.is_empty());
    assert!(found("&dateTo=2001-01-01T00:00:00%2B07:00").await.is_empty());
}
