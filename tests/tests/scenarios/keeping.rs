//! How users keep their conversations: archive, mute, what is hidden, filters and numbers.

use std::time::Duration;

use serde_json::{Value, json};
use tests::shapes::Conversation;
use tests::{Client, TestServer, eventually};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

async fn keep(client: &Client, conversation: &str, what: &str) -> Conversation {
    let path = format!("/conversations/{conversation}/{what}");
    client.post_nothing(&path).send().await.expect(200).json()
}

async fn listed(client: &Client, query: &str) -> Vec<String> {
    let page = client.conversation_page(query).await;
    page.data
        .into_iter()
        .map(|item| item.name.unwrap_or(item.kind))
        .collect()
}

#[tokio::test]
async fn an_archived_conversation_comes_back_with_a_message_unless_it_is_muted() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let group = ann.group("Garden", &["bob"]).await.id;
    assert!(keep(&bob, &group, "archive").await.is_archived);
    assert!(
        !ann.conversation(&group).await.is_archived,
        "it is the member's own matter"
    );
    ann.say(&group, "hello").await;
    assert!(!bob.conversation(&group).await.is_archived);
    keep(&bob, &group, "archive").await;
    let muted = keep(&bob, &group, "mute").await;
    assert_eq!((muted.is_muted, muted.muted_until), (true, None));
    ann.say(&group, "hello again").await;
    assert!(bob.conversation(&group).await.is_archived);
    let unmuted = keep(&bob, &group, "unmute").await;
    assert_eq!((unmuted.is_muted, unmuted.is_archived), (false, false));
    let muted = keep(&bob, &group, "mute").await;
    assert!(!muted.is_archived, "it had come back before it was muted");
    keep(&bob, &group, "unmute").await;
    keep(&bob, &group, "archive").await;
    assert!(!keep(&bob, &group, "unarchive").await.is_archived);
    server
        .client("eve")
        .post_nothing(&format!("/conversations/{group}/archive"))
        .send()
        .await
        .expect(404)
        .problem();
}

#[tokio::test]
async fn a_mute_ends_by_itself() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let direct = ann.direct("bob").await.id;
    let path = format!("/conversations/{direct}/mute");
    let until = OffsetDateTime::now_utc() + Duration::from_secs(2);
    let until = until.format(&Rfc3339).unwrap();
    let body = json!({"mutedUntil": until});
    let muted: Conversation = ann.post(&path, &body).send().await.expect(200).json();
    assert!(muted.is_muted && muted.muted_until.is_some());
    eventually("the mute ends", || async {
        let seen = ann.conversation(&direct).await;
        if seen.is_muted {
            Err("still muted".to_owned())
        } else {
            Ok(seen.muted_until)
        }
    })
    .await;
    for bad in [
        json!({"mutedUntil": "2001-01-01T00:00:00Z"}),
        json!({"mutedUntil": "soon"}),
        json!([]),
    ] {
        ann.post(&path, &bad).send().await.expect(422).problem();
    }
}

#[tokio::test]
async fn lists_are_filtered_and_counted() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let garden = ann.group("Khu vườn", &["bob"]).await.id;
    let house = ann.group("House", &["bob"]).await.id;
    let direct = ann.direct("bob").await.id;
    ann.say(&garden, "one").await;
    ann.say(&direct, "two").await;
    ann.say(&direct, "three").await;
    keep(&bob, &garden, "archive").await;
    keep(&bob, &house, "mute").await;
    let cases = [
        ("", vec!["DIRECT", "Khu vườn", "House"]),
        ("type=DIRECT", vec!["DIRECT"]),
        ("type=GROUP", vec!["Khu vườn", "House"]),
        ("archived=true", vec!["Khu vườn"]),
        ("isArchived=false", vec!["DIRECT", "House"]),
        ("muted=true", vec!["House"]),
        ("unread=true&archived=false", vec!["DIRECT"]),
        ("unread=false", vec!["House"]),
        ("search=khu%20vuon", vec!["Khu vườn"]),
        ("search=nothing", vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(listed(&bob, query).await, expected, "{query}");
    }
    for bad in ["type=ROOM", "archived=1", "muted=yes", "unread=", "search=%00"] {
        bob.get(&format!("/conversations?{bad}"))
            .send()
            .await
            .expect(422)
            .problem();
    }
    let stats: Value = bob.get("/conversations/stats").send().await.expect(200).json();
    let expected = json!({"total": 3, "direct": 1, "group": 2, "archived": 1, "muted": 1,
        "unreadConversations": 2, "unreadMessages": 3});
    assert_eq!(stats, expected);
}

#[tokio::test]
async fn what_is_hidden_is_hidden_from_one_alone() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let group = ann.group("Garden", &["bob"]).await.id;
    let kept = ann.say(&group, "first").await;
    let hidden = ann.say(&group, "second quokka").await;
    let path = format!("/conversations/messages/{}", hidden.id);
    bob.delete(&path).send().await.expect(204);
    assert_eq!(bob.messages(&group).await, std::slice::from_ref(&kept));
    assert_eq!(ann.messages(&group).await.len(), 2);
    let seen = bob.conversation(&group).await;
    assert_eq!(
        (seen.last_message.as_deref(), seen.unread_count),
        (Some("first"), 1)
    );
    bob.get(&path).send().await.expect(404).problem();
    bob.delete(&path).send().await.expect(404).problem();
    ann.get(&path).send().await.expect(200);
    eventually("the index has it", || async {
        let found = ann.search("quokka").await.data.len();
        if found == 1 {
            Ok(())
        } else {
            Err(format!("{found} hits"))
        }
    })
    .await;
    assert!(bob.search("quokka").await.data.is_empty());
    let own = bob.say(&group, "my own").await;
    bob.delete(&format!("/conversations/messages/{}", own.id))
        .send()
        .await
        .expect(204);
    assert_eq!(bob.messages(&group).await, [kept]);
    server
        .client("eve")
        .delete(&path)
        .send()
        .await
        .expect(404)
        .problem();
}

#[tokio::test]
async fn users_are_told_by_their_ids() {
    let server = TestServer::start().await;
    let named = |name: &str| tests::token::with(tests::token::claims("ann"), "name", name.into());
    let ann = server.with_token(&tests::token::sign(&named("Ánh"), &server.folder.secret()));
    ann.direct("bob").await;
    let bob = server.client("bob");
    eventually("the profile is there", || async {
        let found: Value = bob.get("/users?ids=ann,nobody").send().await.expect(200).json();
        let expected = json!({"data": [{"id": "ann", "name": "Ánh", "avatar": null}]});
        if found == expected {
            Ok(())
        } else {
            Err(found.to_string())
        }
    })
    .await;
    let foreign = tests::token::with(tests::token::claims("bob"), "tenant", "elsewhere".into());
    let foreign = server.with_token(&tests::token::sign(&foreign, &server.folder.secret()));
    let found: Value = foreign.get("/users?ids=ann").send().await.expect(200).json();
    assert_eq!(found, json!({"data": []}));
    for bad in ["", "?ids=", "?ids=a,,b"] {
        bob.get(&format!("/users{bad}"))
            .send()
            .await
            .expect(422)
            .problem();
    }
}
