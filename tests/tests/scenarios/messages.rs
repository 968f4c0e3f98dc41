//! Messages: what is sent is what is read, page by page, in both directions.

use serde_json::{Value, json};
use tests::TestServer;
use tests::shapes::{Message, fields, instant};

#[tokio::test]
async fn a_message_is_kept_as_it_was_written() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let chat = ann.direct("bob").await.id;
    let texts = [
        "Chào cậu 👋🏽".to_owned(),
        "a".to_owned(),
        " spaces around ".to_owned(),
        "two\nlines\tand \"quotes\" \\ and \u{3}colours".to_owned(),
        "e\u{301} is not é for a computer".to_owned(),
        "👨‍👩‍👧‍👦".repeat(1_000),
        "😀".repeat(10_000),
        "\u{202e}backwards".to_owned(),
    ];
    let mut sent: Vec<Message> = Vec::new();
    for text in &texts {
        let answer = ann.post_message(&chat, text).send().await.expect(201);
        assert!(answer.sequence() > 0);
        sent.push(answer.json());
    }
    for (index, (message, text)) in sent.iter().zip(&texts).enumerate() {
        assert_eq!(message.content.as_ref(), Some(text));
        assert_eq!(
            (message.ordinal, message.from_user_id.as_str()),
            (index as u64 + 1, "ann")
        );
        assert_eq!(
            (message.conversation_id.as_str(), message.kind.as_str()),
            (chat.as_str(), "TEXT")
        );
        assert!(!message.is_edited && !message.is_deleted && !message.deleted_for_everyone);
        instant(&message.created_at);
    }
    assert_eq!(bob.messages(&chat).await, sent);
    assert_eq!(ann.messages(&chat).await, sent);
}

#[tokio::test]
async fn a_message_has_every_field_of_the_reference() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let sent: Value = ann.post_message(&chat, "hello").send().await.expect(201).json();
    let expected = [
        "attachments",
        "content",
        "conversationId",
        "createdAt",
        "deletedAt",
        "deletedForEveryone",
        "editedAt",
        "fromUserId",
        "id",
        "isDeleted",
        "isEdited",
        "ordinal",
        "reactions",
        "replyToId",
        "type",
        "updatedAt",
    ];
    assert_eq!(fields(&sent), expected);
    let path = format!("/conversations/{chat}/messages");
    let page: Value = ann.get(&path).send().await.expect(200).json();
    assert_eq!(fields(&page), ["data", "hasMore", "nextCursor", "prevCursor"]);
    assert_eq!(page["data"], json!([sent]));
}

#[tokio::test]
async fn a_reply_names_what_it_answers() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let chat = ann.direct("bob").await.id;
    let question = ann.say(&chat, "tea or coffee?").await;
    let mut body = tests::client::text(&chat, "tea");
    body["replyToId"] = json!(question.id);
    let answer: Message = bob
        .post("/conversations/messages", &body)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(answer.reply_to_id, Some(question.id.clone()));
    assert_eq!(ann.messages(&chat).await, [question, answer.clone()]);

    // Not a message that does not exist, not one of another conversation, not one not yet sent.
    let elsewhere = ann.direct("cat").await.id;
    let foreign = ann.say(&elsewhere, "something else").await;
    let unsent = format!("{}{}", &answer.id[..answer.id.len() - 1], "Z");
    for id in [json!(foreign.id), json!(unsent), json!("nonsense"), json!("")] {
        body["replyToId"] = id.clone();
        let refused = bob.post("/conversations/messages", &body).send().await;
        refused.expect_any(&[400, 404, 422]).problem();
    }
    assert_eq!(ann.messages(&chat).await.len(), 2);
}

#[tokio::test]
async fn pages_meet_without_skip_or_repeat_in_both_directions() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.group("Garden", &["bob"]).await.id;
    for number in 1..=57 {
        ann.say(&chat, &format!("message {number}")).await;
    }
    let bob = server.client("bob");
    let ordinals = |messages: &[Message]| messages.iter().map(|m| m.ordinal).collect::<Vec<_>>();

    let newest = bob.page(&chat, "limit=10").await;
    assert_eq!(
        ordinals(&newest.data),
        (48..=57).collect::<Vec<_>>(),
        "the newest, oldest first"
    );
    assert_eq!(newest.next_cursor, newest.data.last().map(|m| m.id.clone()));
    assert_eq!(newest.prev_cursor, newest.data.first().map(|m| m.id.clone()));
    assert!(newest.has_more);

    for limit in [1, 7, 10, 57, 100] {
        let mut back = ordinals(&bob.page(&chat, &format!("limit={limit}")).await.data);
        let mut cursor = bob.page(&chat, &format!("limit={limit}")).await.prev_cursor;
        loop {
            let page = bob
                .page(&chat, &format!("limit={limit}&before={}", cursor.unwrap()))
                .await;
            assert!(page.data.len() <= limit);
            assert!(page.data.is_empty() || page.data.last().unwrap().ordinal + 1 == back[0]);
            back.splice(0..0, ordinals(&page.data));
            if !page.has_more {
                break;
            }
            cursor = page.prev_cursor;
        }
        assert_eq!(back, (1..=57).collect::<Vec<_>>(), "backwards by {limit}");
    }

    let all = bob.messages(&chat).await;
    for limit in [1, 7, 56, 100] {
        let mut forth = vec![1];
        let mut cursor = all[0].id.clone();
        loop {
            let page = bob.page(&chat, &format!("limit={limit}&after={cursor}")).await;
            forth.extend(ordinals(&page.data));
            if !page.has_more {
                break;
            }
            cursor = page.next_cursor.unwrap();
        }
        assert_eq!(forth, (1..=57).collect::<Vec<_>>(), "forwards by {limit}");
    }
    let end = bob.page(&chat, &format!("after={}", all[56].id)).await;
    assert!(end.data.is_empty() && !end.has_more);
    // Who asks again and again keeps the place, even one that lies ahead.
    assert_eq!(end.next_cursor.as_ref(), Some(&all[56].id));
    let ahead = format!("{chat}ZZ");
    let page = bob.page(&chat, &format!("after={ahead}")).await;
    assert!(page.data.is_empty() && !page.has_more);
    assert_eq!((page.next_cursor, page.prev_cursor), (Some(ahead), None));
    let beginning = bob.page(&chat, &format!("before={}", all[0].id)).await;
    assert!(beginning.data.is_empty() && !beginning.has_more);
    assert_eq!(beginning.prev_cursor.as_ref(), Some(&all[0].id));
}

#[tokio::test]
async fn a_page_that_is_exactly_full_knows_that_nothing_follows() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    assert!(ann.page(&chat, "limit=5").await.data.is_empty());
    for number in 0..5 {
        ann.say(&chat, &number.to_string()).await;
    }
    let page = ann.page(&chat, "limit=5").await;
    assert_eq!((page.data.len(), page.has_more), (5, false));
    let page = ann.page(&chat, "limit=4").await;
    assert_eq!((page.data.len(), page.has_more), (4, true));
}

#[tokio::test]
async fn the_last_message_stands_in_the_list() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let sent = ann.say(&chat, "see you at six").await;
    for user in ["ann", "bob"] {
        let list = server.client(user).conversations().await;
        assert_eq!(list[0].last_message, sent.content);
        assert_eq!(list[0].last_message_at.as_ref(), Some(&sent.created_at));
    }
}
