//! What stands before the handlers: keys of an identity provider, limits, request ids, pages of other
//! origins, and keys that make a request the same as an earlier one.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::client::text;
use tests::deployment::is_cluster;
use tests::process::Process;
use tests::shapes::Conversation;
use tests::token::{claims, sign, with};
use tests::{Client, Folder, Socket, TestServer};

/// A key pair of an identity provider, under a name.
struct Key {
    id: &'static str,
    signs: EncodingKey,
    jwk: Value,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let signs = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&signs, Algorithm::ES256).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(id);
        Self { id, signs, jwk }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: Some(self.id.to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        jsonwebtoken::encode(&header, claims, &self.signs).unwrap()
    }
}

fn publish(folder: &Folder, keys: &[&Key]) -> String {
    let file = folder.scratch().join("jwks.json");
    let keys: Vec<_> = keys.iter().map(|key| &key.jwk).collect();
    std::fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
    file.display().to_string()
}

async fn server_with(variables: &[(&'static str, &str)]) -> TestServer {
    let mut folder = Folder::new().await;
    let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    folder.variables.extend(variables);
    TestServer::start_on(folder).await
}

async fn status(server: &TestServer, token: &str) -> u16 {
    let answer = server.with_token(token).get("/conversations").send().await;
    if answer.status != 200 {
        answer.problem();
    }
    answer.status
}

#[tokio::test]
async fn tokens_of_an_identity_provider_are_checked_with_what_it_publishes() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let mut folder = Folder::new().await;
    let file = publish(&folder, &[&old]);
    folder.variables.extend([
        ("VERBATIM_JWT_JWKS", file),
        ("VERBATIM_JWT_ISSUER", "https://id.example".to_owned()),
        ("VERBATIM_JWT_TENANT_CLAIM", "org".to_owned()),
    ]);
    let mut server = TestServer::start_on(folder).await;
    let of = |user: &str| {
        with(
            with(claims(user), "iss", json!("https://id.example")),
            "org",
            json!("acme"),
        )
    };
    let ann = server.with_token(&old.sign(&of("ann")));
    let chat = ann.direct("bob").await.id;
    ann.say(&chat, "hello").await;
    assert_eq!(
        status(
            &server,
            &old.sign(&with(of("ann"), "iss", json!("https://evil.example")))
        )
        .await,
        401
    );
    assert_eq!(
        status(&server, &old.sign(&with(of("ann"), "org", Value::Null))).await,
        401
    );
    assert_eq!(
        status(&server, &sign(&of("ann"), &old.jwk.to_string())).await,
        401
    );
    if !is_cluster() {
        // The secret that cursors are sealed with signs no tokens, and none is printed.
        assert_eq!(
            status(&server, &sign(&of("ann"), &server.folder.secret())).await,
            401
        );
        assert!(!server.process().stdout().contains("Bearer"));
    }
    // The provider changes its key: the first token with the new one is good, on a socket too.
    publish(&server.folder, &[&old, &new]);
    let mut socket = Socket::connect(server.address(), &new.sign(&of("bob"))).await;
    ann.say(&chat, "hello again").await;
    assert_eq!(socket.new_message().await.content.as_deref(), Some("hello again"));
    assert_eq!(status(&server, &Key::new("made-up").sign(&of("ann"))).await, 401);
    let metrics = server.anonymous().get("/metrics").send().await.text();
    assert!(metrics.contains("verbatim_jwks_keys 2"), "{metrics}");
}

#[tokio::test]
async fn a_node_without_the_keys_of_its_identity_provider_does_not_start() {
    let folder = Folder::of(None);
    let private = folder.scratch().join("private.pem");
    std::fs::write(&private, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    // Nothing listens on port 1.
    let url = "http://127.0.0.1:1/jwks?key=hush";
    for (variable, value, code, told) in [
        (
            "VERBATIM_JWT_JWKS",
            url,
            1,
            "cannot be read from http://127.0.0.1:1/jwks",
        ),
        ("VERBATIM_JWT_JWKS", "/no/such/file", 2, "--jwt-jwks"),
        (
            "VERBATIM_JWT_PUBLIC_KEY",
            &private.display().to_string(),
            2,
            "private key",
        ),
    ] {
        let data = folder.data().display().to_string();
        let args = ["serve", "--listen", "127.0.0.1:0", "--data", &data];
        let refused = Process::spawn_with(args, &[(variable, value.to_owned())])
            .wait()
            .await;
        assert_eq!(refused.status.code(), Some(code), "{refused:?}");
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
        assert!(!refused.stderr.contains("hush"), "{}", refused.stderr);
        assert!(!folder.data().exists(), "something was made");
    }
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_come_back() {
    let limits = [
        ("VERBATIM_RATE_LIMIT_COMMANDS", "1/h:4"),
        ("VERBATIM_RATE_LIMIT_READS", "1/h:3"),
    ];
    let server = server_with(&limits).await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let chat = ann.direct("bob").await.id;
    let sent = ann.post_message(&chat, "one").send().await.expect(201);
    let standing = ["limit", "remaining"].map(|name| sent.header(&format!("ratelimit-{name}")).to_owned());
    assert_eq!(standing, ["4", "2"]);
    assert_eq!(sent.header("ratelimit-reset"), "7200");
    // A socket takes from the same bucket, and stays open. Connecting is a read.
    let mut socket = server.socket("ann").await;
    socket.say(&chat, "two").await;
    ann.post_message(&chat, "three").send().await.expect(201);
    for _ in 0..2 {
        let refused = ann.post_message(&chat, "four").send().await.expect(429);
        let problem = refused.problem();
        assert_eq!(problem["code"], "rate_limited");
        assert_eq!(problem["retryAfter"].to_string(), refused.header("retry-after"));
        assert_eq!(refused.header("ratelimit-remaining"), "0");
        let ack = socket.call("send_message", &text(&chat, "four")).await;
        assert_eq!(ack["error"]["code"], "rate_limited", "{ack}");
        assert_eq!(socket.wait("message_error").await["status"], 429);
    }
    // Others are not disturbed, the socket hears them, and reads have a bucket of their own.
    bob.say(&chat, "five").await;
    for expected in ["one", "two", "three", "five"] {
        // The first was sent before the socket was there.
        if expected != "one" {
            assert_eq!(socket.new_message().await.content.as_deref(), Some(expected));
        }
    }
    ann.get("/conversations").send().await.expect(200);
    let refusals = ann.get("/conversations/nothing").send().await.expect(404);
    assert_eq!(refusals.header("ratelimit-remaining"), "0");
    ann.get("/conversations").send().await.expect(429).problem();
    let metrics = server.anonymous().get("/metrics").send().await.expect(200);
    assert_eq!(metrics.header("ratelimit-limit"), "");
    assert!(
        metrics
            .text()
            .contains("verbatim_rate_limited_total{what=\"commands\"} 4")
    );
}

#[tokio::test]
async fn bad_tokens_are_limited_by_address_and_good_ones_are_not() {
    let server = server_with(&[("VERBATIM_RATE_LIMIT_FAILURES", "1/h:2")]).await;
    for expected in [401, 401, 429, 429] {
        assert_eq!(status(&server, "forged").await, expected);
    }
    server.anonymous().get("/conversations").send().await.expect(401);
    assert_eq!(status(&server, &server.folder.token("ann")).await, 200);
    server.socket("ann").await;
    // Over a socket they count alike.
    let mut socket = Socket::anonymous(server.address(), "/ws").await;
    socket.emit("authenticate", &json!({"token": "forged"})).await;
    assert_eq!(socket.wait("message_error").await["code"], "rate_limited");
    assert_eq!(socket.closed().await.0, Some(4500));
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let ask = |id: &'static str| {
        ann.get("/conversations/nothing")
            .header("x-request-id", id)
            .send()
    };
    let answer = ask("trace-1/a").await.expect(404);
    assert_eq!(answer.header("x-request-id"), "trace-1/a");
    assert_eq!(answer.problem()["requestId"], "trace-1/a");
    for unclean in ["", "a b", "a\"b"] {
        let answer = ask(unclean).await.expect(404);
        let id = answer.header("x-request-id").to_owned();
        assert_eq!(id.len(), 26, "{id}");
        assert_eq!(answer.problem()["requestId"], id);
    }
    for path in ["/health", "/nowhere", "/conversations"] {
        let [one, other] = [
            server.anonymous().get(path).send().await,
            ann.get(path).send().await,
        ]
        .map(|answer| answer.header("x-request-id").to_owned());
        assert!(
            one.len() == 26 && other.len() == 26 && one != other,
            "{path}: {one} {other}"
        );
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_by_configuration_alone() {
    let origin = "https://chat.example.com";
    let preflight = |client: Client, from: &'static str| async move {
        let call = client
            .call("OPTIONS", "/conversations/messages")
            .header("origin", from);
        let call = call.header("access-control-request-method", "POST");
        call.send().await.header("access-control-allow-origin").to_owned()
    };
    let open = server_with(&[(
        "VERBATIM_CORS_ORIGIN",
        "http://localhost:3000,https://chat.example.com",
    )])
    .await;
    assert_eq!(preflight(open.anonymous(), origin).await, origin);
    assert_eq!(preflight(open.anonymous(), "https://evil.example.com").await, "");
    // A page can read refusals, too.
    for client in [open.anonymous(), open.client("ann")] {
        for path in ["/conversations", "/conversations/nothing", "/nowhere"] {
            let answer = client.get(path).header("origin", origin).send().await;
            assert_eq!(answer.header("access-control-allow-origin"), origin, "{path}");
            assert!(
                answer
                    .header("access-control-expose-headers")
                    .contains("x-position")
            );
        }
    }
    let closed = TestServer::start().await;
    assert_eq!(preflight(closed.anonymous(), origin).await, "");
    let folder = Folder::new().await;
    let refused = folder.run(["serve", "--cors-origin", "https://x/"]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("--cors-origin"), "{}", refused.stderr);
}

#[tokio::test]
async fn every_post_takes_an_idempotency_key() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let post =
        |path: &str, key: &str, body: &Value| ann.post(path, body).header("idempotency-key", key).send();
    let with_bob = json!({"recipientId": "bob"});
    let first = post("/conversations/direct", "k1", &with_bob).await.expect(201);
    let chat = first.json::<Conversation>().id;
    let again = post("/conversations/direct", "k1", &with_bob).await.expect(201);
    assert_eq!(again.json::<Conversation>().id, chat);
    assert_eq!(again.header("x-position"), first.header("x-position"));
    post("/conversations/direct", "k2", &with_bob).await.expect(200);
    let other = post("/conversations/direct", "k1", &json!({"recipientId": "cat"}))
        .await
        .expect(422);
    assert_eq!(other.problem()["code"], "idempotency_key_reused");
    assert_eq!(ann.conversations().await.len(), 1);

    bob.say(&chat, "one").await;
    let read = json!({"conversationId": chat});
    let first = post("/conversations/messages/read", "k1", &read)
        .await
        .expect(200);
    bob.say(&chat, "two").await;
    server.settled().await;
    let again = post("/conversations/messages/read", "k1", &read)
        .await
        .expect(200);
    assert_eq!(
        (again.text(), again.header("x-position")),
        (first.text(), first.header("x-position"))
    );
    // What came since was not read by the repeat.
    assert_eq!(ann.conversation(&chat).await.unread_count, 1);
    let message = ann.messages(&chat).await[0].id.clone();
    let other = json!({"conversationId": chat, "messageId": message});
    let other = post("/conversations/messages/read", "k1", &other)
        .await
        .expect(422);
    assert_eq!(other.problem()["code"], "idempotency_key_reused");
    assert_eq!(ann.read(&chat, None).await, 0);

    let group = json!({"name": "Garden", "memberIds": ["bob"]});
    let long = "x".repeat(10_000);
    for (path, body) in [
        ("/conversations/direct", &json!({"recipientId": "eve"})),
        ("/conversations/group", &group),
        ("/conversations/messages", &text(&chat, "three")),
        ("/conversations/messages/read", &read),
    ] {
        for malformed in ["", long.as_str()] {
            let refused = post(path, malformed, body).await.expect(400);
            assert_eq!(refused.problem()["code"], "malformed_idempotency_key", "{path}");
        }
    }
    assert_eq!(ann.conversations().await.len(), 1);
    assert_eq!(ann.messages(&chat).await.len(), 2);
}
