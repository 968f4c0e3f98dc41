//! Bad input over HTTP gets a problem document and changes nothing.

use serde_json::{Value, json};
use tests::client::text;
use tests::{Answer, Client, TestServer};

/// A conversation id that is well formed and of no conversation.
const NOWHERE: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.group("Garden", &["bob"]).await.id;
    ann.say(&chat, "before").await;
    let before = state(&ann, &chat).await;
    for (name, path, body, statuses) in bodies(&chat) {
        refuse(&name, ann.post(path, &body).send().await, statuses);
    }
    for (name, body, statuses) in raw_bodies(&chat) {
        refuse(name, ann.call("POST", "/conversations/messages").body(body).send().await, statuses);
    }
    for (method, path, statuses) in requests(&chat) {
        refuse(&path, ann.call(method, &path).send().await, statuses);
    }
    assert_eq!(state(&ann, &chat).await, before);
    // Not even a record was appended: what is sent now comes right after what was sent before.
    let first = ann.post_message(&chat, "after").send().await.expect(201).sequence();
    refuse("empty", ann.post_message(&chat, "").send().await, &[422]);
    refuse("nowhere", ann.post_message(NOWHERE, "hello").send().await, &[404]);
    let second = ann.post_message(&chat, "and after that").send().await.expect(201).sequence();
    assert_eq!(second, first + 1);
}

#[tokio::test]
async fn who_is_not_a_member_learns_nothing() {
    let server = TestServer::start().await;
    let (ann, eve) = (server.client("ann"), server.client("eve"));
    let chat = ann.group("Garden", &["bob"]).await.id;
    let message = ann.say(&chat, "a secret").await.id;
    let nothing = format!("{NOWHERE}1");
    let elsewhere = tests::token::with(tests::token::claims("ann"), "tenant", "acme".into());
    let elsewhere = server.with_token(&tests::token::sign(&elsewhere, &server.folder.secret()));
    let ask = async |client: &Client, chat: &str, message: &str| {
        let read = json!({"conversationId": chat, "messageId": message});
        let read_all = json!({"conversationId": chat});
        [
            client.get(&format!("/conversations/{chat}")).send().await,
            client.get(&format!("/conversations/{chat}/messages")).send().await,
            client.get(&format!("/conversations/{chat}/messages?before={message}")).send().await,
            client.post_message(chat, "let me in").send().await,
            client.post("/conversations/messages/read", &read).send().await,
            client.post("/conversations/messages/read", &read_all).send().await,
        ]
    };
    for client in [&eve, &elsewhere] {
        let refused = ask(client, &chat, &message).await;
        let unknown = ask(client, NOWHERE, &nothing).await;
        for (refused, unknown) in refused.into_iter().zip(unknown) {
            assert_eq!(told(refused, &chat, &message), told(unknown, NOWHERE, &nothing));
        }
    }
    assert_eq!(ann.messages(&chat).await.len(), 1);
    assert_eq!(ann.conversation(&chat).await.member_count, 2);
    assert!(eve.conversations().await.is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_largest_message_is_not() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    // Each character as an escaped pair of surrogates: the longest spelling of the longest text.
    let longest = format!(
        r#"{{"conversationId":"{chat}","type":"TEXT","content":"{}"}}"#,
        "\\ud83d\\ude00".repeat(10_000)
    );
    ann.call("POST", "/conversations/messages").body(longest).send().await.expect(201);
    let over = text(&chat, &"x".repeat(8 << 20));
    for path in ["/conversations/messages", "/conversations/group", "/conversations/direct"] {
        refuse("over the limit", oversized(&ann, path, &over).await, &[413]);
    }
    assert_eq!(ann.messages(&chat).await.len(), 1);
}

/// Who sends too much may be cut off before the answer is read; then it asks again.
async fn oversized(client: &Client, path: &str, body: &Value) -> Answer {
    tests::eventually("an answer to a body over the limit", || async {
        client.post(path, body).try_send().await.map_err(|error| format!("{error:?}"))
    })
    .await
}

#[track_caller]
fn refuse(name: &str, answer: Answer, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status), "{name}: {} instead of {statuses:?}: {}", answer.status, answer.text());
    answer.problem();
    assert!(answer.header("x-position").is_empty(), "{name}: a refusal has a position");
}

/// All that a refusal tells, without what is of this very request.
fn told(answer: Answer, chat: &str, message: &str) -> (Value, Vec<String>) {
    let mut problem = answer.expect(404).problem();
    let fields = problem.as_object_mut().unwrap();
    fields.retain(|name, _| !["instance", "requestId"].contains(&name.as_str()));
    let problem = problem.to_string().replace(message, "MESSAGE").replace(chat, "CHAT");
    let mut headers: Vec<_> = Vec::new();
    for answer in [&problem] {
        headers.push(format!("{} bytes", answer.len()));
    }
    (serde_json::from_str(&problem).unwrap(), headers)
}

async fn state(client: &Client, chat: &str) -> Value {
    let list: Value = client.get("/conversations").send().await.expect(200).json();
    let messages: Value = client.get(&format!("/conversations/{chat}/messages")).send().await.expect(200).json();
    json!([list, messages])
}

type Body = (String, &'static str, Value, &'static [u16]);

fn bodies(chat: &str) -> Vec<Body> {
    const SEND: &str = "/conversations/messages";
    const READ: &str = "/conversations/messages/read";
    const GROUP: &str = "/conversations/group";
    const DIRECT: &str = "/conversations/direct";
    let long = |length: usize| "x".repeat(length);
    let mut bodies: Vec<Body> = Vec::new();
    let mut add = |name: &str, path, body, statuses| bodies.push((name.to_owned(), path, body, statuses));
    add("too long", SEND, text(chat, &long(10_001)), &[422]);
    add("empty", SEND, text(chat, ""), &[422]);
    add("U+0000", SEND, text(chat, "a\0b"), &[422]);
    add("nowhere", SEND, text(NOWHERE, "hello"), &[404]);
    add("no id at all", SEND, text("nonsense", "hello"), &[404, 422]);
    for kind in ["IMAGE", "VIDEO", "AUDIO", "FILE", "STICKER", "LOCATION", "CONTACT"] {
        let body = json!({"conversationId": chat, "content": "x", "type": kind});
        add(kind, SEND, body, &[422]);
    }
    add("unknown type", SEND, json!({"conversationId": chat, "content": "x", "type": "CAROUSEL"}), &[400, 422]);
    add("type is a number", SEND, json!({"conversationId": chat, "content": "x", "type": 1}), &[400, 422]);
    add("no content", SEND, json!({"conversationId": chat, "type": "TEXT"}), &[400, 422]);
    add("no conversation", SEND, json!({"content": "x", "type": "TEXT"}), &[400, 422]);
    add("content is a list", SEND, json!({"conversationId": chat, "content": ["x"], "type": "TEXT"}), &[400, 422]);
    let keyed = |temp_id: Value| json!({"conversationId": chat, "content": "x", "type": "TEXT", "tempId": temp_id});
    add("long tempId", SEND, keyed(json!(long(1_000))), &[422]);
    add("empty tempId", SEND, keyed(json!("")), &[422]);
    add("tempId with a control character", SEND, keyed(json!("a\nb")), &[422]);
    add("a list instead of a body", SEND, json!([]), &[400, 422]);
    add("read nowhere", READ, json!({"conversationId": NOWHERE}), &[404]);
    add("read nothing", READ, json!({}), &[400, 422]);
    let read = |message: String| json!({"conversationId": chat, "messageId": message});
    add("read what is not there", READ, read(format!("{chat}ZZ")), &[404, 422]);
    add("read what is elsewhere", READ, read(format!("{NOWHERE}1")), &[404, 422]);
    add("read nonsense", READ, read("nonsense".to_owned()), &[404, 422]);
    add("no members", GROUP, json!({"name": "x"}), &[400, 422]);
    add("members are no list", GROUP, json!({"name": "x", "memberIds": "bob"}), &[400, 422]);
    add("a member is an object", GROUP, json!({"name": "x", "memberIds": [{}]}), &[400, 422]);
    add("a member is empty", GROUP, json!({"name": "x", "memberIds": [""]}), &[400, 422]);
    add("a member is half", GROUP, json!({"name": "x", "memberIds": [1.5]}), &[400, 422]);
    add("a member is too long", GROUP, json!({"name": "x", "memberIds": [long(129)]}), &[400, 422]);
    let crowd: Vec<_> = (0..1_001).map(|number| format!("m{number}")).collect();
    add("too many members", GROUP, json!({"name": "x", "memberIds": crowd}), &[422]);
    add("no name", GROUP, json!({"memberIds": ["bob"]}), &[400, 422]);
    add("an empty name", GROUP, json!({"name": "", "memberIds": ["bob"]}), &[422]);
    add("a long name", GROUP, json!({"name": long(501), "memberIds": ["bob"]}), &[422]);
    add("a name with U+0000", GROUP, json!({"name": "a\0", "memberIds": ["bob"]}), &[422]);
    add("a script", GROUP, json!({"name": "x", "avatar": "javascript:alert(1)", "memberIds": ["bob"]}), &[422]);
    add("nobody", DIRECT, json!({}), &[400, 422]);
    add("null", DIRECT, json!({"recipientId": null}), &[400, 422]);
    add("oneself", DIRECT, json!({"recipientId": "ann"}), &[422]);
    add("an empty one", DIRECT, json!({"recipientId": ""}), &[400, 422]);
    add("a control character", DIRECT, json!({"recipientId": "a\u{7}"}), &[400, 422]);
    bodies
}

type RawBody = (&'static str, Vec<u8>, &'static [u16]);

fn raw_bodies(chat: &str) -> Vec<RawBody> {
    vec![
        ("no body", Vec::new(), &[400]),
        ("no JSON", b"{nonsense".to_vec(), &[400]),
        ("half a JSON", text(chat, "x").to_string().into_bytes()[..40].to_vec(), &[400]),
        ("more than a JSON", format!("{} {{}}", text(chat, "x")).into_bytes(), &[400]),
        ("no UTF-8", [b"{\"content\":\"".as_slice(), &[0xff, 0xfe], b"\"}"].concat(), &[400]),
        ("half a character", format!(r#"{{"conversationId":"{chat}","type":"TEXT","content":"\ud83d"}}"#).into(), &[400]),
        ("deeply nested", "[".repeat(100_000).into_bytes(), &[400]),
    ]
}

fn requests(chat: &str) -> Vec<(&'static str, String, &'static [u16])> {
    let of = |rest: &str| format!("/conversations/{chat}/messages{rest}");
    vec![
        ("DELETE", "/conversations".to_owned(), &[405]),
        ("PUT", "/conversations/group".to_owned(), &[405]),
        ("PATCH", of(""), &[405]),
        ("POST", "/health".to_owned(), &[405]),
        ("GET", "/nowhere".to_owned(), &[404]),
        ("POST", "/conversations/nowhere/at/all".to_owned(), &[404]),
        ("GET", format!("/conversations/{NOWHERE}"), &[404]),
        ("GET", "/conversations/nonsense".to_owned(), &[404]),
        ("GET", "/conversations/%00".to_owned(), &[400, 404]),
        ("GET", "/conversations/%ff%fe".to_owned(), &[400, 404]),
        ("GET", format!("/conversations/{}", chat.to_lowercase()), &[404]),
        ("GET", "/conversations?limit=0".to_owned(), &[400, 422]),
        ("GET", "/conversations?limit=-1".to_owned(), &[400, 422]),
        ("GET", "/conversations?limit=ten".to_owned(), &[400, 422]),
        ("GET", "/conversations?limit=99999999999999999999".to_owned(), &[400, 422]),
        ("GET", "/conversations?cursor=nonsense".to_owned(), &[400, 422]),
        ("GET", "/conversations?cursor=%00".to_owned(), &[400, 422]),
        ("GET", of("?limit=0"), &[400, 422]),
        ("GET", of("?limit=x"), &[400, 422]),
        ("GET", of("?before=nonsense"), &[400, 404, 422]),
        ("GET", of("?after="), &[400, 404, 422]),
        ("GET", of(&format!("?before={NOWHERE}1")), &[400, 404, 422]),
        ("GET", "/conversations/messages/search".to_owned(), &[400, 422]),
        ("GET", "/conversations/messages/search?q=".to_owned(), &[400, 422]),
        ("GET", "/conversations/messages/search?q=x&cursor=nonsense".to_owned(), &[400, 422]),
        ("GET", "/conversations/messages/search?q=x&limit=0".to_owned(), &[400, 422]),
    ]
}
