//! Who may do what: every endpoint, for every role, in groups and in direct conversations.

use serde_json::{Value, json};
use tests::{Client, TestServer, token};

/// Who asks: the owner of the group, its other roles, who was removed from it, someone who never was a member,
/// and someone of another tenant whose name is a member's.
const ACTORS: [&str; 7] = [
    "owner",
    "admin",
    "moderator",
    "member",
    "removed",
    "stranger",
    "foreigner",
];

struct World {
    clients: Vec<Client>,
    group: String,
    direct: String,
    /// A message of the plain member in the group, and one of the other one in the direct conversation.
    messages: [String; 2],
}

impl World {
    async fn new(server: &TestServer) -> Self {
        let foreigner = token::with(token::claims("owner"), "tenant", "elsewhere".into());
        let foreigner = server.with_token(&token::sign(&foreigner, &server.folder.secret()));
        let mut clients: Vec<_> = ACTORS[..6].iter().map(|name| server.client(name)).collect();
        clients.push(foreigner);
        let (owner, member) = (clients[0].clone(), clients[3].clone());
        let group = owner
            .group("Garden", &["admin", "moderator", "member", "removed", "target"])
            .await
            .id;
        let members = format!("/conversations/{group}/members");
        for (name, role) in [("admin", "ADMIN"), ("moderator", "MODERATOR")] {
            let path = format!("{members}/{name}/role");
            owner.put(&path, &json!({"role": role})).send().await.expect(200);
        }
        owner
            .delete(&format!("{members}/removed"))
            .send()
            .await
            .expect(204);
        let sent = member.say(&group, "hello").await.id;
        let direct = owner.direct("member").await.id;
        let other = member.say(&direct, "hello").await.id;
        Self {
            clients,
            group,
            direct,
            messages: [sent, other],
        }
    }
}

/// An endpoint, and what each of [`ACTORS`] is answered in a group. In a direct conversation of the owner and
/// the member these two are answered `direct`, and everyone else 404.
struct Rule {
    method: &'static str,
    /// `C` is the conversation, `M` the message.
    path: &'static str,
    body: Value,
    group: [u16; 5],
    /// The owner, who wrote nothing; the member, who wrote the message.
    direct: [u16; 2],
}

fn rules() -> Vec<Rule> {
    let rule = |method, path, body, group, direct| Rule {
        method,
        path,
        body,
        group,
        direct,
    };
    let everyone = [200, 200, 200, 200, 404];
    let none = Value::Null;
    vec![
        rule("GET", "/conversations/C", none.clone(), everyone, [200, 200]),
        rule(
            "GET",
            "/conversations/C/members",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "GET",
            "/conversations/C/messages",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "GET",
            "/conversations/C/messages/stats",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "GET",
            "/conversations/messages/M",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "GET",
            "/conversations/messages/M/history",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "GET",
            "/conversations/messages/M/reactions/stats",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "GET",
            "/conversations/messages/M/read-receipts/stats",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "POST",
            "/conversations/C/archive",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "POST",
            "/conversations/C/unarchive",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "POST",
            "/conversations/C/mute",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "POST",
            "/conversations/C/unmute",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "POST",
            "/conversations/messages/M/react",
            json!({"emoji": "👍"}),
            everyone,
            [200, 200],
        ),
        rule(
            "DELETE",
            "/conversations/messages/M/react?emoji=x",
            none.clone(),
            everyone,
            [200, 200],
        ),
        rule(
            "POST",
            "/conversations/messages",
            json!({"conversationId": "C", "content": "hi"}),
            [201, 201, 201, 201, 404],
            [201, 201],
        ),
        rule(
            "POST",
            "/conversations/messages/read",
            json!({"conversationId": "C"}),
            everyone,
            [200, 200],
        ),
        rule(
            "POST",
            "/conversations/messages/unread",
            json!({"conversationId": "C", "messageId": "M"}),
            everyone,
            [200, 200],
        ),
        rule(
            "PUT",
            "/conversations/C",
            json!({"name": "Orchard"}),
            [200, 200, 403, 403, 404],
            [422, 422],
        ),
        rule(
            "POST",
            "/conversations/C/members",
            json!({"memberIds": ["target"]}),
            [201, 201, 201, 403, 404],
            [422, 422],
        ),
        rule(
            "PUT",
            "/conversations/C/members/target/role",
            json!({"role": "MEMBER"}),
            [200, 200, 403, 403, 404],
            [422, 422],
        ),
        rule(
            "DELETE",
            "/conversations/C/members/owner",
            none.clone(),
            [403, 403, 403, 403, 404],
            [422, 422],
        ),
        rule(
            "DELETE",
            "/conversations/C/members/admin",
            none.clone(),
            [204, 204, 403, 403, 404],
            [422, 422],
        ),
        rule(
            "DELETE",
            "/conversations/C/members/moderator",
            none.clone(),
            [204, 204, 403, 403, 404],
            [422, 422],
        ),
        rule(
            "DELETE",
            "/conversations/C/members/target",
            none.clone(),
            [204, 204, 204, 403, 404],
            [422, 422],
        ),
        rule(
            "PUT",
            "/conversations/messages/M",
            json!({"content": "anew"}),
            [403, 403, 403, 200, 404],
            [403, 200],
        ),
        rule(
            "DELETE",
            "/conversations/messages/M?forEveryone=true",
            none.clone(),
            [200, 200, 200, 200, 404],
            [403, 200],
        ),
        rule(
            "DELETE",
            "/conversations/messages/M",
            none.clone(),
            [204, 204, 204, 204, 404],
            [204, 204],
        ),
        rule(
            "DELETE",
            "/conversations/C/leave",
            none,
            [204, 204, 204, 204, 404],
            [422, 422],
        ),
    ]
}

/// A request of the rule about these two; answers the status and, of an error, the problem without what is of
/// the request alone.
async fn ask(client: &Client, rule: &Rule, conversation: &str, message: &str) -> (u16, Value) {
    let fill = |text: &str| {
        let text = text
            .replace("/C", &format!("/{conversation}"))
            .replace("/M", &format!("/{message}"));
        text.replace("\"C\"", &format!("\"{conversation}\""))
            .replace("\"M\"", &format!("\"{message}\""))
    };
    let call = client.call(rule.method, &fill(rule.path));
    let call = match &rule.body {
        Value::Null => call,
        body => call.json(&serde_json::from_str(&fill(&body.to_string())).unwrap()),
    };
    let answer = call.send().await;
    let mut problem = Value::Null;
    if answer.status >= 400 {
        problem = answer.problem();
        problem.as_object_mut().unwrap().remove("requestId");
    }
    (answer.status, problem)
}

/// Each cell on a world of its own, so that no command spoils the next one's.
#[tokio::test]
async fn every_endpoint_for_every_role_in_both_kinds_of_conversations() {
    let server = TestServer::start().await;
    // Ids that are well formed, of conversations that never were.
    let never = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for rule in &rules() {
        for (index, actor) in ACTORS.into_iter().enumerate() {
            let world = World::new(&server).await;
            let client = &world.clients[index];
            let name = format!("{actor}: {} {}", rule.method, rule.path);
            let expected = rule.group.get(index).copied().unwrap_or(404);
            let (status, problem) = ask(client, rule, &world.group, &world.messages[0]).await;
            assert_eq!(status, expected, "in a group, {name}: {problem}");
            if expected == 404 {
                let nowhere = world.messages[0].replace(&world.group, never);
                let absent = ask(client, rule, never, &nowhere).await;
                assert_eq!(
                    (status, problem),
                    absent,
                    "what is not theirs and what never was, {name}"
                );
            }
            let direct = match actor {
                "owner" => rule.direct[0],
                "member" => rule.direct[1],
                _ => 404,
            };
            let (status, problem) = ask(client, rule, &world.direct, &world.messages[1]).await;
            assert_eq!(status, direct, "in a direct conversation, {name}: {problem}");
        }
    }
}
