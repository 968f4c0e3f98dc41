//! A generated attack: requests that follow the document, and requests that break it, thousands of them.
//!
//! `scripts/attack` runs it, because it needs Schemathesis.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tests::TestServer;
use tokio::process::Command;
use tokio::time::timeout;

/// The program, installed.
const PROGRAM: &str = "VERBATIM_ATTACK_PROGRAM";
/// How many requests of each phase to each endpoint, and how many seconds at the most.
const EXAMPLES: &str = "VERBATIM_ATTACK_EXAMPLES";
const SECONDS: &str = "VERBATIM_ATTACK_SECONDS";

/// What nobody but two strangers may ever read.
const SECRET: &str = "rhododendron-4711";

#[tokio::test]
#[ignore = "scripts/attack runs it"]
async fn the_document_survives_an_attack() {
    let setting = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let server = TestServer::start().await;
    let (ann, bob, eve) = (server.client("ann"), server.client("bob"), server.client("eve"));
    let group = ann.group("Garden", &["bob", "cat"]).await.id;
    let theirs = bob.group("Orchard", &["ann"]).await.id;
    let direct = ann.direct("bob").await.id;
    let elsewhere = eve.direct("dan").await.id;
    eve.say(&elsewhere, SECRET).await;
    let mut messages = Vec::new();
    for conversation in [&group, &theirs, &direct] {
        for number in 0..4 {
            let who = if number % 2 == 0 { &ann } else { &bob };
            messages.push(who.say(conversation, &format!("tomatoes {number}")).await.id);
        }
    }
    let hidden = eve.messages(&elsewhere).await[0].id.clone();
    messages.push(hidden);
    let position = ann.post_message(&group, "potatoes").send().await.expect(201);
    let file = ann
        .call("POST", "/attachments")
        .header("content-type", "text/plain")
        .text("four beds")
        .send()
        .await
        .expect_any(&[201, 404])
        .json::<serde_json::Value>();
    let seed = json!({
        "attachments": [file["id"].as_str().unwrap_or("01ARZ3NDEKTSV4RRFFQ69G5FAV")],
        "conversations": [group, theirs, direct, elsewhere],
        "messages": messages,
        "position": position.header("x-position"),
        "secret": SECRET,
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("attack");
    let status = Command::new(setting(PROGRAM))
        .current_dir(&folder)
        .args(["--config-file", "schemathesis.toml", "run", "--checks", "all"])
        .args(["--max-examples", &setting(EXAMPLES)])
        .arg(format!("http://{}/openapi.json", server.address()))
        .env("ATTACK_TOKEN", server.folder.token("ann"))
        .env("ATTACK_SEED", seed.to_string())
        // Nothing of it is kept, so that each run begins like the first one.
        .env("HYPOTHESIS_STORAGE_DIRECTORY", server.folder.scratch())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status();
    let patience = Duration::from_secs(setting(SECONDS).parse().unwrap());
    let status = timeout(patience, status).await.unwrap().unwrap();
    assert!(status.success(), "the attack found something: {status}");
    // It is as well as before, and so is what nobody attacked.
    server.settled().await;
    assert_eq!(eve.messages(&elsewhere).await.len(), 1);
}
