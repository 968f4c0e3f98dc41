//! The halves of a rolling upgrade: a node that meets an event it cannot decode stops that shard, says so,
//! and loses nothing; a node that can takes over.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;
use tests::deployment::{Cluster, is_cluster};
use tests::{Folder, Listener, TestServer, eventually, report};

/// What the old node acts as if it did not know.
const NEW_TYPE: &str = "chat.message.sent.v1";
/// So many that some are in every shard, as good as certainly.
const CHATS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_decode_an_event_leaves_its_shard_to_one_that_can() {
    if !is_cluster() {
        return;
    }
    let mut folder = Folder::new().await;
    let cluster: Cluster = folder.cluster().unwrap().clone();
    folder
        .variables
        .push(("VERBATIM_UNKNOWN_TYPES", NEW_TYPE.to_owned()));
    // Alone first, so that it projects every shard.
    let mut old = TestServer::start_on(folder).await;
    let mut chats = Vec::new();
    for number in 0..CHATS {
        let chat = old.client("ann").group(&format!("Chat {number}"), &["bob"]).await;
        chats.push(chat.id);
    }
    old.settled().await;
    let bob = Listener::start("bob", old.address(), &old.folder.token("bob")).await;
    let new = TestServer::start_on(Folder::of(Some(cluster))).await;
    let (ann, mut kept) = (new.client("ann"), BTreeMap::new());
    let start = Instant::now();
    for chat in &chats {
        let mut messages = Vec::new();
        for number in 0..3 {
            messages.push(ann.say(chat, &format!("word{number} of the new")).await);
        }
        kept.insert(chat.clone(), messages);
    }

    let nobody = old.anonymous();
    let ready = eventually("the old node says that it has stopped", || async {
        let answer = nobody.get("/ready").send().await.expect_any(&[200, 503]);
        match answer.status {
            503 => Ok(answer.json::<Value>()),
            _ => Err(answer.text()),
        }
    })
    .await;
    assert_eq!(ready["ready"], false, "{ready}");
    for station in ["read_models", "search", "live"] {
        eventually("it says what it cannot decode", || async {
            let ready: Value = nobody.get("/ready").send().await.expect(503).json();
            let said = ready["stations"][station].as_str().unwrap_or_default().to_owned();
            if said.contains(NEW_TYPE) {
                Ok(())
            } else {
                Err(format!("{station}: {ready}"))
            }
        })
        .await;
    }
    let refused = old
        .client("ann")
        .post_message(&chats[0], "too early")
        .send()
        .await
        .expect(503);
    refused.problem();
    assert!(!refused.header("retry-after").is_empty());

    new.settled().await;
    report(&format!(
        "a node took over from one that could not decode: {:?}",
        start.elapsed()
    ));
    for (chat, messages) in &kept {
        for reader in ["ann", "bob"] {
            assert!(
                new.client(reader).messages(chat).await == *messages,
                "not everything is served"
            );
        }
        assert_eq!(new.client("bob").conversation(chat).await.unread_count, 3);
    }
    eventually("the search is complete", || async {
        match new.client("bob").search_all("word1").await.0.len() {
            CHATS => Ok(()),
            other => Err(format!("{other} of {CHATS}")),
        }
    })
    .await;

    // Upgraded, it gives its clients what it could not.
    assert_eq!(bob.count(), 0, "it delivered what it cannot decode");
    old.folder.variables.clear();
    old.restart().await;
    bob.go_to(old.address());
    bob.heard_all(&kept).await;
    let said = old.client("ann").say(&chats[0], "now it can").await;
    kept.get_mut(&chats[0]).unwrap().push(said);
    bob.heard_all(&kept).await;
    let bob = old.client("bob");
    assert!(bob.acknowledged_messages(&chats[0]).await == kept[&chats[0]]);
}
