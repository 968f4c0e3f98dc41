//! Every endpoint, and every code that the document says it refuses with.
//!
//! That each answer has the shape that the document gives it is checked by the client.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::bucket::Bucket;
use tests::client::Call;
use tests::deployment::is_cluster;
use tests::device::Device;
use tests::document::{self, Operation};
use tests::{Client, Folder, Process, TestServer, token};

mod refused;
mod tables;

use refused::refusals;
use tables::right;

/// A conversation id that is well formed and of no conversation.
const NOWHERE: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// What only happens to a server that is ill, slow or limited, and where that is tried instead.
const ELSEWHERE: [(u16, &str, &str); 18] = [
    (
        400,
        "unreadable_body",
        "the tests of `api::extract` and `api::server`",
    ),
    (403, "edit_window_over", "below, with a window"),
    (403, "link_expired", "`attachments::fetching`"),
    (404, "attachments_off", "`attachments::uploading`"),
    (
        408,
        "request_timeout",
        "the tests of `api::extract` and `api::server`",
    ),
    (
        409,
        "conversation_exists",
        "the executor's: an id that was drawn or derived twice",
    ),
    (
        429,
        "rate_limited",
        "`edge::who_asks_too_much_is_told_when_to_come_back`",
    ),
    (422, "attachment_too_old", "`attachments::removing`"),
    (422, "image_too_large", "`attachments::uploading`"),
    (500, "internal", "nowhere: there is no way to it that is known"),
    (503, "overloaded", "the tests of the executor"),
    (503, "log_unavailable", "`cluster::links`"),
    (503, "keys_unavailable", "`cluster::database`"),
    (503, "read_model_unavailable", "`cluster::database`"),
    (
        503,
        "blobs_unavailable",
        "the contract of `api::attachments::blobs`",
    ),
    (503, "search_unavailable", "the tests of `search-indexer`"),
    (503, "position_not_reached", "`cluster::database`"),
    (503, "stream_undecodable", "`cluster::upgrade`"),
];

/// What only one operation is refused with elsewhere.
const OF_UPLOADS: [(u16, &str); 2] = [
    // More than 100 MiB: `attachments::uploading`.
    (413, "body_too_large"),
    // A repeat of one that was erased since.
    (404, "attachment_not_found"),
];

/// What there is to ask about.
struct World {
    /// Has the scope `service`.
    backend: Client,
    ann: Client,
    /// MODERATOR of the group.
    bob: Client,
    /// A plain member of it.
    cat: Client,
    group: String,
    direct: String,
    /// Of ann, in the group: a text, one that was deleted, and a file.
    text: String,
    deleted: String,
    file: String,
    /// Of bob, in the group.
    theirs: String,
    /// Of ann, in the direct conversation.
    direct_text: String,
    /// Of ann, and where it is fetched.
    attachment: String,
    link: String,
}

/// A server that has all there is.
async fn server_with_everything() -> (TestServer, Option<Bucket>) {
    let bucket = if is_cluster() {
        Some(Bucket::start().await)
    } else {
        None
    };
    let printed = Process::spawn(["vapid-key"]).wait().await.succeeded().stdout;
    let key = printed
        .lines()
        .find(|line| line.starts_with("private key"))
        .unwrap();
    let mut folder = Folder::new().await;
    folder.variables = bucket.as_ref().map_or_else(Vec::new, Bucket::variables);
    folder.variables.extend([
        ("VERBATIM_VAPID_KEY", key.rsplit(' ').next().unwrap().to_owned()),
        ("VERBATIM_VAPID_SUBJECT", "mailto:ops@example.com".to_owned()),
    ]);
    (TestServer::start_on(folder).await, bucket)
}

fn backend(server: &TestServer) -> Client {
    let claims = token::with(token::claims("backend"), "scope", "service".into());
    server.with_token(&token::sign(&claims, &server.folder.secret()))
}

impl World {
    async fn new(server: &TestServer) -> Self {
        let [ann, bob, cat] = ["ann", "bob", "cat"].map(|user| server.client(user));
        let group = ann.group("Garden", &["bob", "cat"]).await.id;
        let role = format!("/conversations/{group}/members/bob/role");
        ann.put(&role, &json!({"role": "MODERATOR"}))
            .send()
            .await
            .expect(200);
        let direct = ann.direct("bob").await.id;
        let text = ann.say(&group, "tomatoes").await.id;
        let deleted = ann.say(&group, "weeds").await.id;
        let path = format!("/conversations/messages/{deleted}?forEveryone=true");
        ann.delete(&path).send().await.expect(200);
        let file = json!({"conversationId": group, "type": "FILE", "attachments": [
            {"type": "DOCUMENT", "fileName": "plan.pdf", "fileUrl": "https://files.example.org/plan.pdf"}]});
        let file = ann
            .post("/conversations/messages", &file)
            .send()
            .await
            .expect(201);
        let file = file.json::<Value>()["id"].as_str().unwrap().to_owned();
        let theirs = bob.say(&group, "potatoes").await.id;
        let direct_text = ann.say(&direct, "between us").await.id;
        ann.read(&group, None).await;
        let uploaded: Value = ann
            .call("POST", "/attachments")
            .header("content-type", "text/plain")
            .text("four beds")
            .send()
            .await
            .expect(201)
            .json();
        let of_uploaded = |name: &str| uploaded[name].as_str().unwrap().to_owned();
        Self {
            backend: backend(server),
            attachment: of_uploaded("id"),
            link: of_uploaded("fileUrl"),
            ann,
            bob,
            cat,
            group,
            direct,
            text,
            deleted,
            file,
            theirs,
            direct_text,
        }
    }
}

impl World {
    /// Who asks for an operation that is right.
    fn asker(&self, operation: &str) -> &Client {
        if operation == "updateUser" {
            &self.backend
        } else {
            &self.ann
        }
    }
}

/// A request that is right: its path, with a query, and its body.
struct Request {
    path: String,
    body: Value,
}

impl Request {
    fn of(&self, client: &Client, operation: &Operation) -> Call {
        let call = client.call(&operation.method, &self.path);
        if self.body.is_null() {
            call
        } else {
            call.json(&self.body)
        }
    }
}

/// What each operation was refused with.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, BTreeSet<(u16, String)>>);

impl Seen {
    async fn refused(&mut self, operation: &'static str, expected: &str, call: Call) {
        let answer = call.send().await;
        let (status, code) = expected.split_once(' ').unwrap();
        assert_eq!(
            answer.status.to_string(),
            status,
            "{operation} {expected}: {}",
            answer.text()
        );
        assert_eq!(answer.problem()["code"], code, "{operation}");
        assert!(
            answer.header("x-position").is_empty(),
            "{operation}: a refusal has a position"
        );
        self.0
            .entry(operation)
            .or_default()
            .insert((answer.status, code.to_owned()));
    }
}

#[tokio::test]
async fn every_endpoint_answers_and_refuses_as_the_document_says() {
    let (server, _bucket) = server_with_everything().await;
    for (user, status) in [("blocked", "BLOCKED"), ("idle", "INACTIVE")] {
        let path = format!("/users/{user}");
        let call = backend(&server).put(&path, &json!({"status": status}));
        call.send().await.expect(200);
    }
    let mut seen = Seen::default();
    for operation in document::all() {
        let world = World::new(&server).await;
        let request = right(&operation.id, &world);
        unauthorized(&mut seen, &server, operation, &request).await;
        let asker = world.asker(&operation.id);
        unreadable(&mut seen, asker, operation, &request).await;
        if operation.id != "openSocket" {
            let answer = request.of(asker, operation).send().await;
            assert!(
                (200..300).contains(&answer.status),
                "{}: {}",
                operation.id,
                answer.text()
            );
        }
    }
    let world = World::new(&server).await;
    for (operation, code, call) in refusals(&world) {
        seen.refused(operation, code, call).await;
    }
    crowded(&mut seen, &world).await;
    limits(&mut seen, &world).await;
    keys(&mut seen, &server).await;
    without_push(&mut seen).await;
    for operation in document::all() {
        let seen = seen.0.remove(operation.id.as_str()).unwrap_or_default();
        let elsewhere = |code: &(u16, String)| {
            ELSEWHERE
                .iter()
                .any(|(status, name, _)| (*status, *name) == (code.0, code.1.as_str()))
                || (operation.id == "uploadAttachment" && OF_UPLOADS.contains(&(code.0, code.1.as_str())))
        };
        let told: BTreeSet<_> = operation
            .codes()
            .into_iter()
            .filter(|code| !elsewhere(code))
            .collect();
        let never: Vec<_> = told.difference(&seen).collect();
        assert!(
            never.is_empty(),
            "{} was never refused with {never:?}",
            operation.id
        );
    }
}

/// Without a token, and with tokens that are not good.
async fn unauthorized(
    seen: &mut Seen,
    server: &TestServer,
    operation: &'static Operation,
    request: &Request,
) {
    let told = operation.codes();
    let late = token::with(token::claims("ann"), "exp", 1_000_000.into());
    for (code, client) in [
        ("token_missing", server.anonymous()),
        ("token_invalid", server.with_token("nonsense")),
        (
            "token_expired",
            server.with_token(&token::sign(&late, &server.folder.secret())),
        ),
        ("user_blocked", server.client("blocked")),
        ("user_inactive", server.client("idle")),
    ] {
        if told.contains(&(401, code.to_owned())) {
            let call = request.of(&client, operation);
            seen.refused(&operation.id, &format!("401 {code}"), call).await;
        }
    }
}

/// What cannot be read, whatever the endpoint does.
async fn unreadable(seen: &mut Seen, ann: &Client, operation: &'static Operation, request: &Request) {
    let id = operation.id.as_str();
    let told = |status, code: &str| operation.codes().contains(&(status, code.to_owned()));
    if told(400, "malformed_position") {
        let foreign = format!("{NOWHERE}-0-1");
        for (code, position) in [
            ("malformed_position", "nonsense"),
            ("foreign_position", foreign.as_str()),
        ] {
            let call = request.of(ann, operation).header("x-min-position", position);
            seen.refused(id, &format!("400 {code}"), call).await;
        }
    }
    if told(400, "malformed_idempotency_key") {
        for key in ["", &"x".repeat(129)] {
            let call = request.of(ann, operation).header("idempotency-key", key);
            seen.refused(id, "400 malformed_idempotency_key", call).await;
        }
    }
    let parameters = operation.described()["parameters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(name) = parameters.iter().find(|parameter| parameter["in"] == "query") {
        let path = request.path.split('?').next().unwrap();
        let name = name["name"].as_str().unwrap();
        let call = ann.call(&operation.method, &format!("{path}?{name}=1&{name}=1"));
        seen.refused(id, "400 invalid_query", call).await;
    }
    if told(400, "malformed_json") {
        let call = || ann.call(&operation.method, &request.path);
        for bad in ["{", "", "{\"a\":1,\"a\":2}", "{\"a\":\"\\ud800\"}", "{\"a\":NaN}"] {
            // A body that may be missing is taken as none.
            if !(bad.is_empty() && id == "muteConversation") {
                seen.refused(id, "400 malformed_json", call().body(bad)).await;
            }
        }
        seen.refused(id, "422 validation_failed", call().body("[]")).await;
        let plain = call().header("content-type", "text/plain").text("{}");
        seen.refused(id, "415 unsupported_media_type", plain).await;
        let packed = call().header("content-encoding", "gzip").body("{}");
        seen.refused(id, "415 unsupported_media_type", packed).await;
    }
}

/// More different reactions than a message takes of one user.
async fn crowded(seen: &mut Seen, world: &World) {
    let path = format!("/conversations/messages/{}/react", world.theirs);
    let react = |number: u32| {
        world
            .ann
            .post(&path, &json!({"emoji": format!("party_{number}")}))
    };
    for number in 0..20 {
        react(number).send().await.expect(200);
    }
    seen.refused("react", "422 too_many_reactions", react(20)).await;
    let device = |number: u32| {
        let endpoint = format!("https://push.example.org/{number}");
        let device = Device::draw().subscription(&endpoint);
        world.cat.post("/users/me/push-subscriptions", &device)
    };
    for number in 0..20 {
        device(number).send().await.expect(201);
    }
    seen.refused("subscribe", "422 too_many_subscriptions", device(20))
        .await;
}

/// A body that is too large: it may be cut off before its answer is read, and is then sent again.
async fn limits(seen: &mut Seen, world: &World) {
    for operation in document::all() {
        let has_limit = operation.codes().contains(&(413, "body_too_large".to_owned()));
        if !has_limit || operation.id == "uploadAttachment" {
            continue;
        }
        let request = right(&operation.id, world);
        let names_many = ["createGroup", "addMembers"].contains(&operation.id.as_str());
        let large = vec![b' '; if names_many { 2_100 } else { 300 } * 1024];
        let answer = tests::eventually("an answer to a body that is too large", || async {
            let call = world
                .asker(&operation.id)
                .call(&operation.method, &request.path)
                .body(large.clone());
            call.try_send().await.map_err(|error| error.to_string())
        })
        .await;
        assert_eq!(answer.expect(413).problem()["code"], "body_too_large");
        let code = (413, "body_too_large".to_owned());
        seen.0.entry(&operation.id).or_default().insert(code);
    }
}

/// A server that has no key for Web Push.
async fn without_push(seen: &mut Seen) {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let device = Device::draw().subscription("https://push.example.org/one");
    for (operation, call) in [
        ("getPushKey", ann.get("/push/public-key")),
        ("subscribe", ann.post("/users/me/push-subscriptions", &device)),
    ] {
        seen.refused(operation, "404 push_not_configured", call).await;
    }
}

/// A key of a request that was done, with another payload.
async fn keys(seen: &mut Seen, server: &TestServer) {
    for operation in document::all() {
        if !operation
            .codes()
            .contains(&(422, "idempotency_key_reused".to_owned()))
        {
            continue;
        }
        let world = World::new(server).await;
        let first = right(&operation.id, &world);
        let other = tables::other(&operation.id, &world);
        let keyed = |request: &Request| {
            request
                .of(world.asker(&operation.id), operation)
                .header("idempotency-key", "key")
        };
        let answer = keyed(&first).send().await;
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        // What one does not see any more is not there, however often it is asked to go.
        if operation.method == "POST" {
            let again = keyed(&first).send().await;
            assert_eq!(
                (again.status, again.header("x-position")),
                (answer.status, answer.header("x-position"))
            );
        }
        seen.refused(&operation.id, "422 idempotency_key_reused", keyed(&other))
            .await;
    }
}

#[tokio::test]
async fn a_window_for_edits_ends() {
    let mut folder = Folder::new().await;
    folder.variables.push(("VERBATIM_EDIT_WINDOW", "1".to_owned()));
    let server = TestServer::start_on(folder).await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let message = ann.say(&chat, "tomatos").await.id;
    let path = format!("/conversations/messages/{message}");
    let code = tests::eventually("the window is over", || async {
        let answer = ann.put(&path, &json!({"content": "tomatoes"})).send().await;
        match answer.status {
            200 => Err("it can be edited".to_owned()),
            _ => Ok(answer.expect(403).problem()["code"].clone()),
        }
    })
    .await;
    assert_eq!(code, "edit_window_over");
}

#[tokio::test]
async fn the_document_is_served_once_and_its_page_brings_all_it_needs() {
    let server = TestServer::start().await;
    let nobody = server.anonymous();
    let plain = nobody.get("/openapi.json").send().await.expect(200);
    assert_eq!(plain.json::<Value>(), *document::DOCUMENT);
    let packed = nobody
        .get("/openapi.json")
        .header("accept-encoding", "gzip")
        .send()
        .await
        .expect(200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() * 4 < plain.body.len());
    let tag = plain.header("etag");
    let again = nobody
        .get("/openapi.json")
        .header("if-none-match", tag)
        .send()
        .await
        .expect(304);
    assert!(again.body.is_empty() && again.header("etag") == tag);
    nobody
        .get("/openapi.json")
        .header("if-none-match", "W/\"other\"")
        .send()
        .await
        .expect(200);
    let page = nobody.get("/docs").send().await.expect(200);
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
        "{policy}"
    );
    let text = page.text();
    for part in text.split(['"']).filter(|part| part.starts_with("/docs/")) {
        assert!(
            !nobody.get(part).send().await.expect(200).body.is_empty(),
            "{part}"
        );
    }
    // Nothing comes from anywhere else, and nothing runs that is not a file of this server.
    assert!(
        !text.contains("//")
            && !text.contains("<style")
            && !text.contains(" style=")
            && !text.contains(" on")
    );
}

/// What the document shows as an example is one.
#[test]
fn every_example_is_right() {
    let schemas = document::DOCUMENT["components"]["schemas"].as_object().unwrap();
    let mut count = 0;
    for (name, schema) in schemas {
        let examples = schema["examples"].as_array().into_iter().flatten();
        for example in examples.chain(schema.get("example")) {
            let validator = document::validator(&json!({"$ref": format!("#/components/schemas/{name}")}));
            assert!(validator.is_valid(example), "{name}: {example}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn people_are_told_of_every_endpoint() {
    let text = include_str!("../../../docs/api/README.md");
    for operation in document::all()
        .iter()
        .filter(|operation| !operation.path.starts_with("/docs/"))
    {
        let ours = format!("{} {}", operation.method, operation.path);
        let as_in_the_reference = ours.replace('{', ":").replace('}', "");
        assert!(
            text.contains(&ours) || text.contains(&as_in_the_reference),
            "{ours} is not in docs/api"
        );
    }
}

/// Methods that a path does not take are told which it takes, and `HEAD` is `GET` without the body.
#[tokio::test]
async fn other_methods_are_refused_and_head_is_get() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let paths: BTreeSet<_> = document::all()
        .iter()
        .map(|operation| operation.path.as_str())
        .collect();
    for path in paths {
        let taken: BTreeSet<_> = document::all()
            .iter()
            .filter(|operation| operation.path == path)
            .map(|operation| operation.method.as_str())
            .collect();
        let asked = path.replace("{id}", NOWHERE).replace("{memberId}", "bob");
        for method in [
            "GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "QUERY", "SPOOL",
        ] {
            if taken.contains(method) {
                continue;
            }
            let refused = ann.call(method, &asked).send().await.expect(405);
            let allowed: BTreeSet<_> = refused
                .header("allow")
                .split(',')
                .filter(|name| *name != "HEAD")
                .collect();
            assert_eq!(allowed, taken, "{method} {path}");
        }
    }
    for path in [
        "/health",
        "/conversations",
        "/conversations/nowhere",
        "/openapi.json",
        "/docs",
    ] {
        let (head, get) = (ann.call("HEAD", path).send().await, ann.get(path).send().await);
        assert_eq!(
            (head.status, head.header("content-type")),
            (get.status, get.header("content-type")),
            "{path}"
        );
        assert!(head.body.is_empty(), "{path}");
    }
}
