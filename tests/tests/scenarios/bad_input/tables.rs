//! The tables: what is sent, and the statuses that are right for it.

use serde_json::{Value, json};
use tests::client::text;

/// A conversation id that is well formed and of no conversation.
pub(super) const NOWHERE: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// A name, a path, a body, and the statuses it may get.
pub(super) type Body = (String, &'static str, Value, &'static [u16]);

/// What a POST must not hold.
pub(super) fn bodies(chat: &str) -> Vec<Body> {
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
    for kind in [
        "IMAGE", "VIDEO", "AUDIO", "FILE", "STICKER", "LOCATION", "CONTACT",
    ] {
        let body = json!({"conversationId": chat, "content": "x", "type": kind});
        add(kind, SEND, body, &[422]);
    }
    add(
        "unknown type",
        SEND,
        json!({"conversationId": chat, "content": "x", "type": "CAROUSEL"}),
        &[400, 422],
    );
    add(
        "type is a number",
        SEND,
        json!({"conversationId": chat, "content": "x", "type": 1}),
        &[400, 422],
    );
    add(
        "no content",
        SEND,
        json!({"conversationId": chat, "type": "TEXT"}),
        &[400, 422],
    );
    add(
        "no conversation",
        SEND,
        json!({"content": "x", "type": "TEXT"}),
        &[400, 422],
    );
    add(
        "content is a list",
        SEND,
        json!({"conversationId": chat, "content": ["x"], "type": "TEXT"}),
        &[400, 422],
    );
    let keyed =
        |temp_id: Value| json!({"conversationId": chat, "content": "x", "type": "TEXT", "tempId": temp_id});
    add("long tempId", SEND, keyed(json!(long(1_000))), &[422]);
    add("empty tempId", SEND, keyed(json!("")), &[422]);
    add(
        "tempId with a control character",
        SEND,
        keyed(json!("a\nb")),
        &[422],
    );
    add("a list instead of a body", SEND, json!([]), &[400, 422]);
    let fields = json!([chat, "hello", "TEXT", null, null, null]);
    add("the fields as a list", SEND, fields, &[400, 422]);
    add("read nowhere", READ, json!({"conversationId": NOWHERE}), &[404]);
    add("read nothing", READ, json!({}), &[400, 422]);
    let read = |message: String| json!({"conversationId": chat, "messageId": message});
    add(
        "read what is not there",
        READ,
        read(format!("{chat}ZZ")),
        &[404, 422],
    );
    add(
        "read what is elsewhere",
        READ,
        read(format!("{NOWHERE}1")),
        &[404, 422],
    );
    add("read nonsense", READ, read("nonsense".to_owned()), &[404, 422]);
    add("no members", GROUP, json!({"name": "x"}), &[400, 422]);
    add(
        "members are no list",
        GROUP,
        json!({"name": "x", "memberIds": "bob"}),
        &[400, 422],
    );
    add(
        "a member is an object",
        GROUP,
        json!({"name": "x", "memberIds": [{}]}),
        &[400, 422],
    );
    add(
        "a member is empty",
        GROUP,
        json!({"name": "x", "memberIds": [""]}),
        &[400, 422],
    );
    add(
        "a member is half",
        GROUP,
        json!({"name": "x", "memberIds": [1.5]}),
        &[400, 422],
    );
    add(
        "a member is too long",
        GROUP,
        json!({"name": "x", "memberIds": [long(129)]}),
        &[400, 422],
    );
    let crowd: Vec<_> = (0..10_001).map(|number| format!("m{number}")).collect();
    add(
        "too many members",
        GROUP,
        json!({"name": "x", "memberIds": crowd}),
        &[422],
    );
    add("no name", GROUP, json!({"memberIds": ["bob"]}), &[400, 422]);
    add(
        "an empty name",
        GROUP,
        json!({"name": "", "memberIds": ["bob"]}),
        &[422],
    );
    add(
        "a long name",
        GROUP,
        json!({"name": long(501), "memberIds": ["bob"]}),
        &[422],
    );
    add(
        "a name with U+0000",
        GROUP,
        json!({"name": "a\0", "memberIds": ["bob"]}),
        &[422],
    );
    add(
        "a script",
        GROUP,
        json!({"name": "x", "avatar": "javascript:alert(1)", "memberIds": ["bob"]}),
        &[422],
    );
    add("nobody", DIRECT, json!({}), &[400, 422]);
    add("null", DIRECT, json!({"recipientId": null}), &[400, 422]);
    add("oneself", DIRECT, json!({"recipientId": "ann"}), &[422]);
    add("an empty one", DIRECT, json!({"recipientId": ""}), &[400, 422]);
    add(
        "a control character",
        DIRECT,
        json!({"recipientId": "a\u{7}"}),
        &[400, 422],
    );
    bodies
}

/// A name, the bytes of a body, and the statuses it may get.
pub(super) type RawBody = (&'static str, Vec<u8>, &'static [u16]);

/// What is not even JSON.
pub(super) fn raw_bodies(chat: &str) -> Vec<RawBody> {
    vec![
        ("no body", Vec::new(), &[400]),
        ("no JSON", b"{nonsense".to_vec(), &[400]),
        (
            "half a JSON",
            text(chat, "x").to_string().into_bytes()[..40].to_vec(),
            &[400],
        ),
        (
            "more than a JSON",
            format!("{} {{}}", text(chat, "x")).into_bytes(),
            &[400],
        ),
        (
            "no UTF-8",
            [b"{\"content\":\"".as_slice(), &[0xff, 0xfe], b"\"}"].concat(),
            &[400],
        ),
        (
            "half a character",
            format!(r#"{{"conversationId":"{chat}","type":"TEXT","content":"\ud83d"}}"#).into(),
            &[400],
        ),
        (
            "a name twice",
            format!(r#"{{"conversationId":"{chat}","content":"x","content":"y"}}"#).into(),
            &[400],
        ),
        ("deeply nested", "[".repeat(100_000).into_bytes(), &[400]),
    ]
}

/// What must not be asked for.
pub(super) fn requests(chat: &str) -> Vec<(&'static str, String, &'static [u16])> {
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
        ("GET", "/conversations?limit=0".to_owned(), &[422]),
        ("GET", "/conversations?limit=101".to_owned(), &[422]),
        ("GET", "/conversations?limit=-1".to_owned(), &[422]),
        ("GET", "/conversations?limit=ten".to_owned(), &[422]),
        (
            "GET",
            "/conversations?limit=99999999999999999999".to_owned(),
            &[422],
        ),
        ("GET", "/conversations?limit=1&limit=1".to_owned(), &[400]),
        ("GET", "/conversations?cursor=nonsense".to_owned(), &[400, 422]),
        ("GET", "/conversations?cursor=%00".to_owned(), &[400, 422]),
        ("GET", of("?limit=0"), &[422]),
        ("GET", of("?limit=x"), &[422]),
        ("GET", of("?before=nonsense"), &[400, 404, 422]),
        ("GET", of("?after="), &[400, 404, 422]),
        ("GET", of(&format!("?before={NOWHERE}1")), &[400, 404, 422]),
        ("GET", "/conversations/messages/search".to_owned(), &[422]),
        ("GET", "/conversations/messages/search?q=".to_owned(), &[422]),
        (
            "GET",
            "/conversations/messages/search?q=x&cursor=nonsense".to_owned(),
            &[400, 422],
        ),
        (
            "GET",
            "/conversations/messages/search?q=x&limit=0".to_owned(),
            &[422],
        ),
    ]
}
