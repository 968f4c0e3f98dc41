//! A log that was restored from an older copy is refused, and goes on with a new epoch after the command
//! that the refusal names.

use std::path::Path;

use eventstore::contract::nats::NatsServer;
use eventstore::contract::postgres::PostgresServer;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tests::deployment::{Cluster, is_cluster};
use tests::socket::open;
use tests::{Folder, Socket, TestServer, eventually};

const CHATS: [&str; 8] = [
    "Garden", "Kitchen", "Attic", "Cellar", "Hall", "Study", "Porch", "Yard",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_restored_from_an_older_copy_is_refused_until_it_has_a_new_epoch() {
    if !is_cluster() {
        return;
    }
    let (mut nats, postgres) = tokio::join!(NatsServer::start(), PostgresServer::start());
    let cluster = Cluster::on(nats.url(), postgres.url());
    let mut first = TestServer::start_on(Folder::of(Some(cluster))).await;
    let mut second = first.another().await;
    let (ann, bob) = (first.client("ann"), second.client("bob"));
    let mut chats = Vec::new();
    for name in CHATS {
        let chat = ann.group(name, &["bob"]).await.id;
        ann.say(&chat, "kept by the copy").await;
        bob.say(&chat, "kept as well").await;
        chats.push(chat);
    }
    first.terminate().await;
    second.terminate().await;
    nats.kill();
    let copy = first.folder.scratch().join("copy");
    copy_folder(&nats.store(), &copy);
    nats.restart().await;
    first.restart().await;
    second.restart().await;

    // What the copy does not have.
    let mut socket = first.socket("bob").await;
    let mut position = String::new();
    let mut cursor = None;
    for chat in &chats {
        let answer = second
            .client("ann")
            .post_message(chat, "lost")
            .send()
            .await
            .expect(201);
        answer.header("x-position").clone_into(&mut position);
        cursor = loop {
            let frame = socket.next().await.unwrap();
            if frame.event == "new_message" {
                break frame.cursor;
            }
        };
    }
    let cursor = cursor.unwrap();
    first.settled().await;
    first.terminate().await;
    second.terminate().await;
    nats.kill();
    std::fs::remove_dir_all(nats.store()).unwrap();
    copy_folder(&copy, &nats.store());
    nats.restart().await;

    for node in [&first, &second] {
        let refused = node.folder.spawn_server().wait().await;
        assert!(!refused.status.success(), "the older log was accepted");
        assert!(
            refused.stderr.contains("verbatim rebuild --new-epoch"),
            "{}",
            refused.stderr
        );
    }
    let rebuilt = first.folder.run(["rebuild", "--new-epoch"]).await.succeeded();
    assert!(rebuilt.stdout.contains("new epoch"), "{}", rebuilt.stdout);
    first.restart().await;
    serves_the_copy(&first, &chats).await;
    refuses_what_was_before(&first, &position, &cursor).await;

    // The other node's folder still has the index of before.
    let refused = second.folder.spawn_server().wait().await;
    assert!(!refused.status.success(), "the foreign index was accepted");
    second.folder.run(["rebuild"]).await.succeeded();
    second.restart().await;
    for node in [&first, &second] {
        serves_the_copy(node, &chats).await;
        refuses_what_was_before(node, &position, &cursor).await;
    }
    let found = tests::answers::answers(&second, &["ann", "bob"], &["kept", "copy", "lost"]).await;
    let same = tests::answers::answers(&first, &["ann", "bob"], &["kept", "copy", "lost"]).await;
    tests::answers::assert_same(&found, &same);

    // And it goes on, from one node to the other.
    let mut socket = first.socket("bob").await;
    for chat in &chats {
        let said = second.client("ann").say(chat, "after the restoration").await;
        assert_eq!(said.ordinal, 3);
        assert_eq!(socket.new_message().await, said);
    }
}

/// The store is lost under nodes that run: whoever makes the log anew, they write nothing into it, and it stays as
/// empty as it was found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_write_nothing_into_a_log_that_was_made_anew_under_them() {
    if !is_cluster() {
        return;
    }
    let (mut nats, postgres) = tokio::join!(NatsServer::start(), PostgresServer::start());
    let cluster = Cluster::on(nats.url(), postgres.url());
    let mut first = TestServer::start_on(Folder::of(Some(cluster.clone()))).await;
    let second = first.another().await;
    // One shard has records, the others have none that would be missed.
    let chat = first.client("ann").group("Garden", &["bob"]).await.id;
    first.client("ann").say(&chat, "is it gone?").await;
    second.settled().await;
    nats.kill();
    std::fs::remove_dir_all(nats.store()).unwrap();
    nats.restart().await;
    first.kill();
    let refused = first.folder.spawn_server().wait().await;
    assert!(refused.stderr.contains("the log is EMPTY"), "{}", refused.stderr);

    let ann = second.client("ann");
    let groups = (0..16).map(|number| {
        let body = json!({"name": format!("Group {number}"), "memberIds": ["bob"]});
        let call = ann.post("/conversations/group", &body);
        async move { call.send().await.expect(503).problem()["code"].to_string() }
    });
    for code in futures::future::join_all(groups).await {
        assert_ne!(code, "\"position_not_reached\"", "it was recorded");
    }
    refuses_to_send(&second, &chat).await;
    second.anonymous().get("/ready").send().await.expect(503);
    for folder in [&first.folder, &Folder::of(Some(cluster))] {
        let refused = folder.spawn_server().wait().await;
        assert!(refused.stderr.contains("the log is EMPTY"), "{}", refused.stderr);
    }
}

/// The keys' schema is gone, a node runs on, and others start: none makes keys that would hide the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_keys_are_lost_is_refused_however_often_it_is_started() {
    if !is_cluster() {
        return;
    }
    let node = TestServer::start().await;
    let Some(cluster) = node.folder.cluster() else {
        panic!("a node of a cluster")
    };
    let chat = node.client("ann").group("Garden", &["bob"]).await.id;
    node.client("ann").say(&chat, "sealed").await;
    let mut database = PgConnection::connect(&cluster.database).await.unwrap();
    let drop = format!("DROP SCHEMA \"{}_keys\" CASCADE", cluster.namespace);
    database.execute(AssertSqlSafe(drop)).await.unwrap();
    for _ in 0..2 {
        let refused = Folder::of(Some(cluster.clone())).spawn_server().wait().await;
        assert!(
            !refused.status.success(),
            "new keys hide that the old ones are lost"
        );
        assert!(refused.stderr.contains("--new-keys"), "{}", refused.stderr);
    }
    // The node that runs on cannot seal under new keys either.
    let text = json!({"conversationId": chat, "content": "under which key?"});
    node.client("bob")
        .post("/conversations/messages", &text)
        .send()
        .await
        .expect(503);
    let refused = Folder::of(Some(cluster.clone())).spawn_server().wait().await;
    assert!(refused.stderr.contains("--new-keys"), "{}", refused.stderr);
    let ready = node.anonymous().get("/ready").send().await.expect(503);
    let ready: serde_json::Value = ready.json();
    assert_ne!(ready["stations"]["keys"], "ok", "{ready}");
}

/// A store that was lost looks like a new one, and so does another server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_log_behind_filled_read_models_is_refused_as_such() {
    if !is_cluster() {
        return;
    }
    let (mut nats, postgres) = tokio::join!(NatsServer::start(), PostgresServer::start());
    let mut node = TestServer::start_on(Folder::of(Some(Cluster::on(nats.url(), postgres.url())))).await;
    let chat = node.client("ann").group("Garden", &["bob"]).await.id;
    let said = node.client("ann").say(&chat, "is it gone?").await;
    node.settled().await;
    node.terminate().await;
    nats.kill();
    let copy = node.folder.scratch().join("copy");
    copy_folder(&nats.store(), &copy);
    std::fs::remove_dir_all(nats.store()).unwrap();
    nats.restart().await;
    // More than once: the refused start has made the streams.
    for _ in 0..2 {
        let refused = node.folder.spawn_server().wait().await;
        assert!(!refused.status.success(), "the empty log was accepted");
        for words in [
            "the log is EMPTY",
            "up to sequence 2 of",
            "verbatim rebuild --new-epoch",
        ] {
            assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
        }
    }

    // As it says: the backup is put back, and everything is there.
    nats.kill();
    std::fs::remove_dir_all(nats.store()).unwrap();
    copy_folder(&copy, &nats.store());
    nats.restart().await;
    node.folder.run(["rebuild", "--new-epoch"]).await.succeeded();
    node.restart().await;
    assert_eq!(node.client("bob").messages(&chat).await, [said]);

    // Or the loss is accepted.
    node.terminate().await;
    nats.kill();
    std::fs::remove_dir_all(nats.store()).unwrap();
    nats.restart().await;
    node.folder.run(["rebuild"]).await.succeeded();
    node.restart().await;
    assert!(node.client("bob").conversations().await.is_empty());
}

/// Nodes that run on while the log goes back under them: their heads are of another log, and one may be the
/// head of something else there by chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_id_is_given_twice_when_the_log_goes_back_under_running_nodes() {
    if !is_cluster() {
        return;
    }
    let (mut nats, postgres) = tokio::join!(NatsServer::start(), PostgresServer::start());
    let cluster = Cluster::on(nats.url(), postgres.url());
    let first = TestServer::start_on(Folder::of(Some(cluster.clone()))).await;
    let second = first.another().await;
    let chat = first.client("ann").group("Garden", &["bob"]).await.id;
    nats.kill();
    let copy = first.folder.scratch().join("copy");
    copy_folder(&nats.store(), &copy);
    nats.restart().await;
    // A history of three records, two of them messages: the next message on the second node is to be the third.
    eventually_say(&second, &chat, "lost 0").await;
    second.client("bob").read(&chat, None).await;
    eventually_say(&second, &chat, "lost 1").await;
    first.settled().await;
    nats.kill();
    std::fs::remove_dir_all(nats.store()).unwrap();
    copy_folder(&copy, &nats.store());
    nats.restart().await;

    // Both know of records that are not there any more, and neither gives their places to others.
    for node in [&first, &second] {
        refuses_to_send(node, &chat).await;
        eventually("the node says what is wrong", || async {
            let answer = node.anonymous().get("/ready").send().await;
            if answer.status == 503 {
                Ok(())
            } else {
                Err(answer.text())
            }
        })
        .await;
    }
    // A third one goes on with a history of three records, all of them messages: the second node's head is the
    // conversation's head again, by chance.
    let folder = Folder::of(Some(cluster));
    folder.run(["rebuild", "--new-epoch"]).await.succeeded();
    let third = TestServer::start_on(folder).await;
    for content in ["text 0", "text 1", "text 2"] {
        third.client("ann").say(&chat, content).await;
    }
    for node in [&first, &second] {
        refuses_to_send(node, &chat).await;
    }
    let texts: Vec<_> = third
        .client("ann")
        .messages(&chat)
        .await
        .into_iter()
        .map(|message| message.content)
        .collect();
    assert_eq!(
        texts,
        ["text 0", "text 1", "text 2"].map(|text| Some(text.to_owned()))
    );

    // Started again, they are nodes of the new log.
    let mut second = second;
    second.kill();
    second.folder.run(["rebuild"]).await.succeeded();
    second.restart().await;
    assert_eq!(second.client("ann").say(&chat, "text 3").await.ordinal, 4);
}

async fn refuses_to_send(node: &TestServer, chat: &str) {
    let text = serde_json::json!({"conversationId": chat, "content": "into another history"});
    let answer = node
        .client("ann")
        .post("/conversations/messages", &text)
        .send()
        .await
        .expect(503);
    answer.problem();
}

/// Says something, however often that takes: the log has been away.
async fn eventually_say(node: &TestServer, chat: &str, content: &str) {
    let ann = node.client("ann");
    let mut body = tests::client::text(chat, content);
    body["tempId"] = content.into();
    eventually("a text is taken", || async {
        let answer = ann.post("/conversations/messages", &body).send().await;
        match answer.status {
            200 | 201 => Ok(()),
            _ => Err(answer.text()),
        }
    })
    .await
}

/// Everything that the copy has, and nothing else.
async fn serves_the_copy(node: &TestServer, chats: &[String]) {
    for chat in chats {
        let messages = node.client("bob").messages(chat).await;
        let texts: Vec<_> = messages
            .iter()
            .map(|message| message.content.as_deref().unwrap())
            .collect();
        assert_eq!(texts, ["kept by the copy", "kept as well"]);
    }
}

/// A position and a cursor of before mean nothing any more, and it is said.
async fn refuses_what_was_before(node: &TestServer, position: &str, cursor: &str) {
    let answer = node
        .client("bob")
        .get("/conversations")
        .header("x-min-position", position)
        .send()
        .await
        .expect(400);
    assert_eq!(answer.problem()["code"], "foreign_position");
    let path = format!("/ws?cursor={}", tests::client::encode(cursor));
    let token = node.folder.token("bob");
    let opened = open(node.address(), &path, Some(&token), None).await.unwrap();
    let mut socket = Socket::over(opened);
    socket.wait("connected").await;
    socket.wait("reset").await;
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
