//! Conversations: how they come about, and the list of them.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use tests::TestServer;
use tests::client::encode;
use tests::shapes::{Conversation, fields, instant};

#[tokio::test]
async fn a_direct_conversation_is_one_whoever_asks() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let body = |other: &str| json!({"recipientId": other});
    let first = ann
        .post("/conversations/direct", &body("bob"))
        .send()
        .await
        .expect(201);
    assert!(first.sequence() > 0);
    let first: Conversation = first.json();
    assert_eq!(
        (first.kind.as_str(), first.member_count, &first.owner_id),
        ("DIRECT", 2, &None)
    );
    for (client, other) in [(&ann, "bob"), (&bob, "ann")] {
        let again = client
            .post("/conversations/direct", &body(other))
            .send()
            .await
            .expect(200);
        assert!(
            !again.header("x-position").is_empty(),
            "every command's answer has a position"
        );
        assert_eq!(again.json::<Conversation>().id, first.id);
    }
    let users: BTreeSet<_> = first
        .members
        .iter()
        .map(|member| member.user_id.as_str())
        .collect();
    assert_eq!(users, BTreeSet::from(["ann", "bob"]));
    ann.post("/conversations/direct", &body("ann"))
        .send()
        .await
        .expect(422)
        .problem();
}

#[tokio::test]
async fn a_direct_conversation_is_one_even_when_both_ask_at_once() {
    let server = TestServer::start().await;
    for round in 0..40 {
        let (one, other) = (format!("ann{round}"), format!("bob{round}"));
        let ask = |me: &str, you: &str| {
            let (client, body) = (server.client(me), json!({"recipientId": you}));
            async move {
                client
                    .post("/conversations/direct", &body)
                    .send()
                    .await
                    .expect_any(&[200, 201])
            }
        };
        let asked = (0..5).flat_map(|_| [ask(&one, &other), ask(&other, &one)]);
        let answers = join_all(asked).await;
        let ids: BTreeSet<_> = answers
            .iter()
            .map(|answer| answer.json::<Conversation>().id)
            .collect();
        assert_eq!(ids.len(), 1, "two direct conversations of the same two");
        assert_eq!(
            answers.iter().filter(|answer| answer.status == 201).count(),
            1,
            "it came about once"
        );
    }
}

#[tokio::test]
async fn a_group_has_its_founder_as_owner_and_admin() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let body = json!({
        "name": "Vườn nhà", "description": "who waters when", "avatar": "https://example.org/a.png",
        "memberIds": ["bob", "cat", "bob", "ann"],
    });
    let group = ann.post("/conversations/group", &body).send().await.expect(201);
    assert!(group.sequence() > 0);
    let group: Conversation = group.json();
    assert_eq!(group.kind, "GROUP");
    assert_eq!(group.name.as_deref(), Some("Vườn nhà"));
    assert_eq!(group.description.as_deref(), Some("who waters when"));
    assert_eq!(group.avatar.as_deref(), Some("https://example.org/a.png"));
    assert_eq!(group.owner_id.as_deref(), Some("ann"));
    assert_eq!(
        (
            group.last_message.as_ref(),
            group.unread_count,
            group.member_count
        ),
        (None, 0, 3)
    );
    assert!(!group.is_archived && !group.is_muted && group.muted_until.is_none());
    let role = |user: &str| {
        group
            .members
            .iter()
            .find(|m| m.user_id == user)
            .unwrap()
            .role
            .as_str()
    };
    assert_eq!(
        [role("ann"), role("bob"), role("cat")],
        ["ADMIN", "MEMBER", "MEMBER"]
    );
    assert!(
        group
            .members
            .iter()
            .all(|member| member.is_active && member.user.id == member.user_id)
    );
    assert!(instant(&group.created_at) <= instant(&group.updated_at));
    for user in ["ann", "bob", "cat"] {
        assert_eq!(
            server.client(user).conversation(&group.id).await.members,
            group.members
        );
    }
}

#[tokio::test]
async fn a_conversation_has_every_field_of_the_reference() {
    let server = TestServer::start().await;
    let group = server.client("ann").group("Garden", &["bob"]).await;
    let path = format!("/conversations/{}", group.id);
    let value: Value = server.client("bob").get(&path).send().await.expect(200).json();
    let expected = [
        "avatar",
        "createdAt",
        "description",
        "id",
        "isArchived",
        "isMuted",
        "lastMessage",
        "lastMessageAt",
        "memberCount",
        "members",
        "mutedUntil",
        "name",
        "ownerId",
        "role",
        "type",
        "unreadCount",
        "updatedAt",
    ];
    assert_eq!(fields(&value), expected);
    let member = &value["members"][0];
    assert_eq!(
        fields(member),
        ["isActive", "joinedAt", "lastReadAt", "role", "user", "userId"]
    );
    assert_eq!(fields(&member["user"]), ["avatar", "id", "name"]);
}

#[tokio::test]
async fn a_large_group_shows_its_first_members_and_counts_all() {
    let server = TestServer::start().await;
    let names: Vec<_> = (0..120).map(|number| format!("member{number}")).collect();
    let members: Vec<_> = names.iter().map(String::as_str).collect();
    let group = server.client("ann").group("Village", &members).await;
    assert_eq!((group.member_count, group.members.len()), (121, 20));
    let seen = server.client("member119").conversation(&group.id).await;
    assert_eq!((seen.member_count, seen.members.len()), (121, 20));
}

#[tokio::test]
async fn a_number_is_taken_as_a_user_id() {
    let server = TestServer::start().await;
    let direct = json!({"recipientId": 42});
    let one = server.client("7");
    let direct: Conversation = one
        .post("/conversations/direct", &direct)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(server.client("42").direct("7").await.id, direct.id);
    let group = json!({"name": "Numbers", "memberIds": [42, "7", 8]});
    let group: Conversation = one
        .post("/conversations/group", &group)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(group.member_count, 3);
    assert_eq!(server.client("8").conversation(&group.id).await.id, group.id);
}

#[tokio::test]
async fn a_group_with_an_idempotency_key_is_founded_once() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let body = json!({"name": "Garden", "memberIds": ["bob"]});
    let found = |client: &tests::Client, key: &str, body: &Value| {
        client
            .post("/conversations/group", body)
            .header("idempotency-key", key)
            .send()
    };
    let first: Conversation = found(&ann, "k1", &body).await.expect(201).json();
    let repeats = join_all((0..20).map(|_| found(&ann, "k1", &body))).await;
    for repeat in repeats {
        assert_eq!(repeat.expect_any(&[200, 201]).json::<Conversation>().id, first.id);
    }
    // Members are a set, and the founder is among them in any case.
    let same = json!({"name": "Garden", "memberIds": ["bob", "ann", "bob"]});
    let repeat = found(&ann, "k1", &same).await.expect_any(&[200, 201]);
    assert_eq!(repeat.json::<Conversation>().id, first.id);
    let other = json!({"name": "Orchard", "memberIds": ["bob"]});
    found(&ann, "k1", &other).await.expect(422).problem();
    let second: Conversation = found(&ann, "k2", &body).await.expect(201).json();
    let of_bob: Conversation = found(&bob, "k1", &body).await.expect(201).json();
    assert_eq!(BTreeSet::from([&first.id, &second.id, &of_bob.id]).len(), 3);
    assert_eq!(
        (ann.conversations().await.len(), bob.conversations().await.len()),
        (2, 3)
    );
}

#[tokio::test]
async fn the_list_is_paged_by_activity_without_skip_or_repeat() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let mut groups = Vec::new();
    for number in 0..25 {
        groups.push(ann.group(&format!("Group {number}"), &["bob"]).await.id);
    }
    // The oldest become the newest by being written in.
    for id in &groups[..5] {
        ann.say(id, "a word").await;
    }
    let bob = server.client("bob");
    let mut seen: Vec<Conversation> = Vec::new();
    let mut query = "limit=10".to_owned();
    loop {
        let page = bob.conversation_page(&query).await;
        assert_eq!(page.pagination.limit, 10);
        assert!(page.data.len() <= 10);
        seen.extend(page.data);
        if !page.pagination.has_more {
            break;
        }
        // Activity in what was seen already must not disturb the rest.
        ann.say(&seen[0].id, "another word").await;
        query = format!(
            "limit=10&cursor={}",
            encode(&page.pagination.next_cursor.unwrap())
        );
    }
    let ids: BTreeSet<_> = seen.iter().map(|conversation| conversation.id.clone()).collect();
    assert_eq!((seen.len(), ids), (25, groups.iter().cloned().collect()));
    let activity = |c: &Conversation| instant(c.last_message_at.as_ref().unwrap_or(&c.created_at));
    assert!(
        seen.is_sorted_by(|a, b| activity(a) >= activity(b)),
        "not the newest activity first"
    );
    let newest: BTreeSet<_> = seen[..5]
        .iter()
        .map(|conversation| conversation.id.clone())
        .collect();
    assert_eq!(newest, groups[..5].iter().cloned().collect());
    assert_eq!(seen[0].last_message.as_deref(), Some("a word"));
    assert_eq!(server.client("stranger").conversations().await, []);
}
