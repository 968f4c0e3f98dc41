//! Members who are away are told by a webhook: once, with the same id however often it is tried, and never of what
//! is rebuilt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::chance::{pause, random};
use tests::deployment::is_cluster;
use tests::receiver::{Call, Receiver};
use tests::{Folder, TestServer, eventually};

const SECRETS: [[u8; 32]; 2] = [[7; 32], [8; 32]];

fn secret(bytes: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(bytes))
}

/// A folder whose servers call this receiver, and try so often.
async fn folder_for(receiver: &Receiver, attempts: u32) -> Folder {
    let mut folder = Folder::new().await;
    configure(&mut folder, receiver, attempts);
    folder
}

fn configure(folder: &mut Folder, receiver: &Receiver, attempts: u32) {
    folder.variables.extend([
        ("VERBATIM_WEBHOOK_URL", receiver.url("/hook?a=b")),
        ("VERBATIM_WEBHOOK_SECRET", SECRETS.map(|it| secret(&it)).join(",")),
        ("VERBATIM_NOTIFY_ATTEMPTS", attempts.to_string()),
    ]);
}

/// Two nodes that call this receiver, or twice the one.
async fn nodes_for(receiver: &Receiver) -> (TestServer, Option<TestServer>) {
    let one = TestServer::start_on(folder_for(receiver, 12).await).await;
    let Some(cluster) = one.folder.cluster().cloned() else {
        return (one, None);
    };
    let mut folder = Folder::of(Some(cluster));
    configure(&mut folder, receiver, 12);
    (one, Some(TestServer::start_on(folder).await))
}

fn assert_signed(call: &Call) {
    let (id, timestamp) = (call.header("webhook-id"), call.header("webhook-timestamp"));
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &call.body].concat();
    let expected = SECRETS.map(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
    });
    assert_eq!(call.header("webhook-signature"), expected.join(" "));
    let age = time::OffsetDateTime::now_utc().unix_timestamp() - timestamp.parse::<i64>().unwrap();
    assert!((0..120).contains(&age), "{age}");
}

/// What a call is about: the text, and who is told.
fn told(call: &Call) -> (String, Vec<String>) {
    let data = &call.json()["data"];
    let names = data["recipients"].as_array().unwrap().iter();
    let text = data["message"]["content"].as_str().unwrap().to_owned();
    (
        text,
        names.map(|name| name.as_str().unwrap().to_owned()).collect(),
    )
}

fn say(text: &str, recipients: &[&str]) -> (String, Vec<String>) {
    (
        text.to_owned(),
        recipients.iter().map(|name| (*name).to_owned()).collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_away_is_told_and_nobody_else() {
    let receiver = Receiver::start().await;
    let (one, other) = nodes_for(&receiver).await;
    let other = other.as_ref().unwrap_or(&one);
    let (ann, dan) = (one.client("ann"), other.client("dan"));
    let group = ann.group("Garden", &["bob", "cat", "dan", "eve"]).await.id;
    dan.post_nothing(&format!("/conversations/{group}/mute"))
        .send()
        .await
        .expect(200);
    let _cat = other.socket("cat").await;
    let first = ann.say(&group, "hello").await;
    let calls = receiver.wait(1).await;
    let call = &calls[0];
    assert_signed(call);
    assert_eq!(
        (call.path.as_str(), call.header("content-type")),
        ("/hook?a=b", "application/json")
    );
    let body = call.json();
    assert_eq!(body["id"], call.header("webhook-id"));
    assert_eq!(
        (
            &body["specversion"],
            &body["type"],
            &body["subject"],
            &body["tenant"]
        ),
        (
            &json!("1.0"),
            &json!("chat.notification.message.v1"),
            &json!(first.id),
            &json!("default")
        )
    );
    let data = &body["data"];
    assert_eq!(
        data["conversation"],
        json!({"id": group, "type": "GROUP", "name": "Garden"})
    );
    assert_eq!(
        (&data["recipients"], &data["sender"]["id"]),
        (&json!(["bob", "eve"]), &json!("ann"))
    );
    let read: Value = one
        .client("bob")
        .get(&format!("/conversations/messages/{}", first.id))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(data["message"], read, "the message is as the API has it");

    // Everyone but the muted one is here, or has spoken: nobody is told of it, and nobody of what was imported.
    let direct = ann.direct("cat").await.id;
    ann.say(&direct, "to one who is here").await;
    other.client("bob").say(&group, "from bob").await;
    let calls = receiver.wait(2).await;
    assert_eq!(told(&calls[1]), say("from bob", &["ann", "eve"]));
    one.settled().await;
    ann.say(&group, "the last").await;
    let calls = receiver.wait(3).await;
    assert_eq!(told(&calls[2]), say("the last", &["bob", "eve"]));
    assert_eq!(receiver.calls().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_tell_each_message_once() {
    let receiver = Receiver::start().await;
    let (one, other) = nodes_for(&receiver).await;
    let nodes = [&one, other.as_ref().unwrap_or(&one)];
    let direct = one.client("ann").direct("bob").await.id;
    let mut sent = BTreeSet::new();
    for number in 0..40 {
        let text = format!("number {number}");
        nodes[number % 2].client("ann").say(&direct, &text).await;
        sent.insert(text);
    }
    let calls = receiver.wait(40).await;
    assert_eq!(
        calls.iter().map(|call| told(call).0).collect::<BTreeSet<_>>(),
        sent
    );
    let ids: BTreeSet<_> = calls
        .iter()
        .map(|call| call.header("webhook-id").to_owned())
        .collect();
    // A claim that two had would have come a second time by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((ids.len(), receiver.calls().len()), (40, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_tried_again_and_then_a_dead_letter_that_can_be_replayed() {
    let receiver = Receiver::start().await;
    let server = TestServer::start_on(folder_for(&receiver, 2).await).await;
    let ann = server.client("ann");
    let direct = ann.direct("bob").await.id;
    receiver.answer(["500"]);
    ann.say(&direct, "second time").await;
    let calls = receiver.wait(2).await;
    assert_eq!((calls[0].answered, calls[1].answered), (500, 200));
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
    calls.iter().for_each(assert_signed);

    // A redirect is an answer that does not take it, and is not followed.
    receiver.answer([
        format!("307\nLocation: {}", receiver.url("/elsewhere")),
        "429\nRetry-After: 1".to_owned(),
    ]);
    ann.say(&direct, "never").await;
    let calls = receiver.wait(4).await;
    let id = calls[3].header("webhook-id").to_owned();
    assert_eq!(
        (calls[2].header("webhook-id"), calls[3].path.as_str()),
        (id.as_str(), "/hook?a=b")
    );
    let letters = eventually("it is a dead letter", || async {
        let listed = server
            .folder
            .run(["dead-letters", "list", "--json"])
            .await
            .succeeded()
            .stdout;
        let letters: Vec<Value> = listed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        if letters.is_empty() {
            Err(listed)
        } else {
            Ok(letters)
        }
    })
    .await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (
            &letter["id"],
            &letter["target"],
            &letter["attempts"],
            &letter["reason"]
        ),
        (
            &json!(id),
            &json!("webhook"),
            &json!(2),
            &json!("the answer was 429")
        )
    );
    assert!(!letter.to_string().contains("never"), "no words: {letter}");
    let plain = server
        .folder
        .run(["dead-letters", "list"])
        .await
        .succeeded()
        .stdout;
    assert!(plain.contains(&id) && plain.contains("1 dead letters"), "{plain}");
    server.anonymous().get("/ready").send().await.expect(200);

    let wrong = server.folder.run(["dead-letters", "replay", "nothing"]).await;
    assert!(!wrong.status.success(), "{wrong:?}");
    server
        .folder
        .run(["dead-letters", "replay", &id])
        .await
        .succeeded();
    let calls = receiver.wait(5).await;
    assert_eq!(
        (calls[4].header("webhook-id"), calls[4].answered),
        (id.as_str(), 200)
    );
    eventually("no dead letter is left", || async {
        let listed = server
            .folder
            .run(["dead-letters", "list"])
            .await
            .succeeded()
            .stdout;
        if listed.contains("0 dead letters") {
            Ok(())
        } else {
            Err(listed)
        }
    })
    .await;
    let metrics = server.anonymous().get("/metrics").send().await.expect(200).text();
    for (outcome, count) in [("delivered", 2), ("failed", 2), ("dead", 1)] {
        let line =
            format!("verbatim_notifications_total{{target=\"webhook\",outcome=\"{outcome}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_or_read_meanwhile_is_not_told() {
    let receiver = Receiver::start().await;
    let server = TestServer::start_on(folder_for(&receiver, 12).await).await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let direct = ann.direct("bob").await.id;
    receiver.answer(["503\nRetry-After: 2", "503\nRetry-After: 2"]);
    let [deleted, read] = [ann.say(&direct, "deleted").await, ann.say(&direct, "read").await];
    receiver.wait(2).await;
    let path = format!("/conversations/messages/{}?forEveryone=true", deleted.id);
    ann.delete(&path).send().await.expect(200);
    bob.read(&direct, Some(&read.id)).await;
    ann.say(&direct, "the last").await;
    let metrics = eventually("both are needless", || async {
        let metrics = server.anonymous().get("/metrics").send().await.expect(200).text();
        let line = "verbatim_notifications_total{target=\"webhook\",outcome=\"needless\"} 2";
        if metrics.contains(line) {
            Ok(metrics)
        } else {
            Err(metrics)
        }
    })
    .await;
    let calls = receiver.wait(3).await;
    assert_eq!(told(&calls[2]), say("the last", &["bob"]), "{metrics}");
    assert_eq!(calls.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_tells_nobody() {
    let receiver = Receiver::start().await;
    let mut server = TestServer::start_on(folder_for(&receiver, 12).await).await;
    let direct = server.client("ann").direct("bob").await.id;
    for number in 0..5 {
        server
            .client("ann")
            .say(&direct, &format!("number {number}"))
            .await;
    }
    receiver.wait(5).await;
    server.rebuild().await;
    server.client("ann").say(&direct, "the last").await;
    let calls = receiver.wait(6).await;
    assert_eq!(told(&calls[5]), say("the last", &["bob"]));
    assert_eq!(receiver.calls().len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_before_is_not_told() {
    let receiver = Receiver::start().await;
    let mut server = TestServer::start().await;
    let direct = server.client("ann").direct("bob").await.id;
    server.client("ann").say(&direct, "long ago").await;
    assert!(server.terminate().await.success());
    if !is_cluster() {
        let file = server.folder.data().join("effects.db");
        assert!(!file.exists(), "nothing is kept for nobody");
        let listed = server.folder.run(["dead-letters", "list"]).await;
        assert!(!listed.status.success() && listed.stderr.contains("there are no notifications"));
    }
    configure(&mut server.folder, &receiver, 12);
    server.restart().await;
    server.client("ann").say(&direct, "now").await;
    let calls = receiver.wait(1).await;
    assert_eq!(told(&calls[0]), say("now", &["bob"]));
    assert_eq!(receiver.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_no_notification_and_change_no_id() {
    let receiver = Receiver::start().await;
    let mut server = TestServer::start_on(folder_for(&receiver, 12).await).await;
    let direct = server.client("ann").direct("bob").await.id;
    let mut acknowledged = BTreeSet::new();
    for round in 0..6 {
        let ann = server.client("ann");
        for number in 0..random(1, 12) {
            let text = format!("round {round}, number {number}");
            acknowledged.insert(ann.say(&direct, &text).await.id);
        }
        pause(Duration::from_millis(300)).await;
        server.kill();
        server.restart().await;
    }
    let ids = eventually("every message was told", || {
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for call in receiver.calls() {
            let message = call.json()["subject"].as_str().unwrap().to_owned();
            ids.entry(message)
                .or_default()
                .insert(call.header("webhook-id").to_owned());
        }
        let missing = acknowledged.iter().filter(|id| !ids.contains_key(*id)).count();
        std::future::ready(if missing == 0 {
            Ok(ids)
        } else {
            Err(format!("{missing} are missing"))
        })
    })
    .await;
    assert_eq!(ids.len(), acknowledged.len());
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_group_is_told_in_pages() {
    let receiver = Receiver::start().await;
    let server = TestServer::start_on(folder_for(&receiver, 12).await).await;
    let ann = server.client("ann");
    let names: Vec<_> = (0..999).map(|number| format!("user{number}")).collect();
    let group = ann
        .group("Everyone", &names.iter().map(String::as_str).collect::<Vec<_>>())
        .await
        .id;
    let more: Vec<_> = (999..1_200).map(|number| format!("user{number}")).collect();
    let path = format!("/conversations/{group}/members");
    ann.post(&path, &json!({"memberIds": more}))
        .send()
        .await
        .expect(201);
    ann.say(&group, "hello").await;
    let calls = receiver.wait(3).await;
    let mut everyone: Vec<_> = calls.iter().flat_map(|call| told(call).1).collect();
    everyone.sort();
    let mut expected: Vec<_> = names.into_iter().chain(more).collect();
    expected.sort();
    assert_eq!(everyone, expected);
    assert!(calls.iter().all(|call| told(call).1.len() <= 500));
    let ids: BTreeSet<_> = calls.iter().map(|call| call.header("webhook-id")).collect();
    assert_eq!((ids.len(), calls.len()), (3, 3));
}
