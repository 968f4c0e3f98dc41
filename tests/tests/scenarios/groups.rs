//! Groups: what they are called, who is in them, and what their members may do.

use serde_json::{Value, json};
use tests::shapes::{Conversation, Member, Message};
use tests::{Client, TestServer, eventually};

async fn roles(client: &Client, group: &str) -> Vec<(String, String)> {
    let path = format!("/conversations/{group}/members");
    let page: Value = client.get(&path).send().await.expect(200).json();
    let members: Vec<Member> = serde_json::from_value(page["data"].clone()).unwrap();
    let row = |member: Member| (member.user_id, member.role);
    members.into_iter().map(row).collect()
}

fn named(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let row = |(user, role): &(&str, &str)| ((*user).to_owned(), (*role).to_owned());
    expected.iter().map(row).collect()
}

#[tokio::test]
async fn a_group_is_called_what_its_admins_say() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let group = ann.group("Garden", &["bob"]).await.id;
    let path = format!("/conversations/{group}");
    let body = json!({"name": "Orchard", "description": "Apples", "avatar": "https://example.org/o.png"});
    let answer = ann.put(&path, &body).send().await.expect(200);
    assert!(answer.sequence() > 0);
    let changed: Conversation = answer.json();
    assert_eq!(
        (changed.name.as_deref(), changed.description.as_deref()),
        (Some("Orchard"), Some("Apples"))
    );
    assert_eq!(bob.conversation(&group).await.name.as_deref(), Some("Orchard"));
    let body = json!({"description": null});
    let changed: Conversation = ann.put(&path, &body).send().await.expect(200).json();
    assert_eq!(
        (
            changed.name.as_deref(),
            changed.description,
            changed.avatar.as_deref()
        ),
        (Some("Orchard"), None, Some("https://example.org/o.png"))
    );
    for bad in [
        json!({"name": ""}),
        json!({"name": 5}),
        json!({"avatar": "o.png"}),
        json!([]),
    ] {
        ann.put(&path, &bad).send().await.expect(422).problem();
    }
    bob.put(&path, &json!({"name": "Mine"}))
        .send()
        .await
        .expect(403)
        .problem();
    let direct = ann.direct("bob").await.id;
    let path = format!("/conversations/{direct}");
    ann.put(&path, &json!({"name": "Us"}))
        .send()
        .await
        .expect(422)
        .problem();
}

#[tokio::test]
async fn members_come_get_roles_and_go() {
    let server = TestServer::start().await;
    let (ann, bob, cid) = (server.client("ann"), server.client("bob"), server.client("cid"));
    let group = ann.group("Garden", &["bob"]).await.id;
    let members = format!("/conversations/{group}/members");
    let added: Value = ann
        .post(&members, &json!({"memberIds": ["cid", "dan", "bob"]}))
        .send()
        .await
        .expect(201)
        .json();
    let names: Vec<_> = added["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["userId"].clone())
        .collect();
    assert_eq!(names, ["cid", "dan", "bob"]);
    let role = |user: &str| format!("{members}/{user}/role");
    let changed: Member = ann
        .put(&role("bob"), &json!({"role": "MODERATOR"}))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(changed.role, "MODERATOR");
    let expected = [
        ("ann", "ADMIN"),
        ("bob", "MODERATOR"),
        ("cid", "MEMBER"),
        ("dan", "MEMBER"),
    ];
    assert_eq!(roles(&cid, &group).await, named(&expected));
    bob.delete(&format!("{members}/ann"))
        .send()
        .await
        .expect(403)
        .problem();
    bob.put(&role("cid"), &json!({"role": "ADMIN"}))
        .send()
        .await
        .expect(403)
        .problem();
    bob.delete(&format!("{members}/cid")).send().await.expect(204);
    let gone = cid.get(&members).send().await.expect(404).problem();
    assert_eq!(gone["code"], "conversation_not_found");
    ann.delete(&format!("{members}/cid"))
        .send()
        .await
        .expect(404)
        .problem();
    ann.put(&role("bob"), &json!({"role": "OWNER"}))
        .send()
        .await
        .expect(422)
        .problem();
    ann.post(&members, &json!({"memberIds": []}))
        .send()
        .await
        .expect(422)
        .problem();
    bob.post(&members, &json!({"memberIds": ["eve"], "role": "ADMIN"}))
        .send()
        .await
        .expect(403)
        .problem();
    let first = format!("{members}?limit=2");
    let page: Value = ann.get(&first).send().await.expect(200).json();
    let cursor = page["pagination"]["nextCursor"].as_str().unwrap();
    let page: Value = ann
        .get(&format!("{first}&cursor={cursor}"))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!(page["pagination"]["hasMore"], false);
    ann.get(&format!("{members}?cursor=x"))
        .send()
        .await
        .expect(400)
        .problem();
}

#[tokio::test]
async fn who_is_removed_loses_everything_at_once_and_gets_it_back_with_a_return() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let group = ann.group("Garden", &["bob"]).await.id;
    let secret: Message = ann.say(&group, "quokka secret").await;
    eventually("bob finds it", || async {
        let found = bob.search("quokka").await.data.len();
        if found == 1 {
            Ok(())
        } else {
            Err(format!("{found} hits"))
        }
    })
    .await;
    let mut socket = server.socket("bob").await;
    ann.delete(&format!("/conversations/{group}/members/bob"))
        .send()
        .await
        .expect(204);
    let message = format!("/conversations/messages/{}", secret.id);
    for path in [
        format!("/conversations/{group}"),
        format!("/conversations/{group}/messages"),
        format!("/conversations/{group}/messages/stats"),
        format!("/conversations/{group}/members"),
        message.clone(),
        format!("{message}/history"),
        format!("{message}/reactions/stats"),
        format!("{message}/read-receipts/stats"),
    ] {
        bob.get(&path).send().await.expect(404).problem();
    }
    assert_eq!(bob.search("quokka").await.facets.by_conversation.len(), 0);
    assert!(bob.conversations().await.is_empty());
    ann.say(&group, "unheard").await;
    ann.post(
        &format!("/conversations/{group}/members"),
        &json!({"memberIds": ["bob"]}),
    )
    .send()
    .await
    .expect(201);
    let back = ann.say(&group, "welcome back").await;
    let heard = socket.new_message().await;
    assert_eq!(heard.id, back.id, "what was said meanwhile is not heard");
    assert_eq!(bob.messages(&group).await.len(), 3);
    assert_eq!(bob.search("quokka").await.data.len(), 1);
}

#[tokio::test]
async fn the_owner_hands_over_and_the_last_one_closes_the_group() {
    let server = TestServer::start().await;
    let (ann, bob, cid) = (server.client("ann"), server.client("bob"), server.client("cid"));
    let group = ann.group("Garden", &["bob", "cid"]).await.id;
    let leave = format!("/conversations/{group}/leave");
    ann.delete(&leave).send().await.expect(204);
    assert_eq!(bob.conversation(&group).await.owner_id.as_deref(), Some("bob"));
    assert_eq!(
        roles(&cid, &group).await,
        named(&[("bob", "ADMIN"), ("cid", "MEMBER")])
    );
    bob.delete(&leave).send().await.expect(204);
    cid.delete(&leave).send().await.expect(204);
    for client in [&ann, &bob, &cid] {
        client.delete(&leave).send().await.expect(404).problem();
        client
            .post_message(&group, "hello?")
            .send()
            .await
            .expect(404)
            .problem();
    }
    let direct = ann.direct("bob").await.id;
    ann.delete(&format!("/conversations/{direct}/leave"))
        .send()
        .await
        .expect(422)
        .problem();
}
