//! A person's key is deleted: that person's words are gone everywhere, and nothing else changes.

use std::path::Path;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tests::answers::{answers, assert_same};
use tests::{Folder, TestServer, token};

const USERS: [&str; 3] = ["ann", "bob", "cat"];

#[tokio::test]
async fn without_the_key_a_users_words_are_gone_and_everything_else_stays() {
    let mut server = TestServer::start().await;
    let named = |name: &str| token::with(token::claims("ann"), "name", name.into());
    let ann = server.with_token(&token::sign(&named("Annabelle Quokka"), &server.folder.secret()));
    let (bob, cat) = (server.client("bob"), server.client("cat"));
    let garden = bob.group("Garden", &["ann", "cat"]).await.id;
    let direct = cat.direct("ann").await.id;
    for number in 0..20 {
        ann.say(&garden, &format!("quokka {number} shared")).await;
        bob.say(&garden, &format!("wombat {number} shared")).await;
    }
    let question = ann.say(&direct, "quokka direct shared").await;
    let mut reply = tests::client::text(&direct, "wombat reply shared");
    reply["replyToId"] = question.id.clone().into();
    cat.post("/conversations/messages", &reply)
        .send()
        .await
        .expect(201);
    ann.say(&direct, "quokka last shared").await;
    let searches = ["quokka", "wombat", "shared"];
    let before = answers(&server, &USERS, &searches).await;
    assert!(
        before.to_string().contains("Annabelle Quokka"),
        "the profile is not shown"
    );

    assert!(server.terminate().await.success());
    let folder = &server.folder;
    assert!(
        !holds(&folder.data(), "log.db", "quokka"),
        "the log holds what was written in the clear"
    );
    delete_key(folder, "ann").await;
    folder.run(["rebuild"]).await.succeeded();
    assert!(
        !holds(&folder.data(), "", "quokka"),
        "a file still holds what the erased user wrote"
    );
    server.restart().await;

    let after = answers(&server, &USERS, &searches).await;
    for user in USERS {
        assert_eq!(after[format!("{user} searches quokka")]["total"], 0);
        let wombats = format!("{user} searches wombat");
        assert_same(&before[&wombats], &after[&wombats]);
    }
    // What is left is what was there, without that person's words. Searches were compared above.
    let without_searches = |answers: &Value| {
        let mut answers = answers.clone();
        let fields = answers.as_object_mut().unwrap();
        fields.retain(|name, _| !name.contains("searches"));
        answers
    };
    let (before, after) = (without_searches(&before), without_searches(&after));
    assert_same(&erased(before, "ann"), &after);
    let left = after.to_string().to_lowercase();
    assert!(
        !left.contains("quokka"),
        "an answer still holds what the erased user wrote"
    );
    assert!(after[format!("messages of {garden}")][0]["content"].is_null());

    // The person may go on writing, under a new key; what was erased stays erased.
    let sent = server.client("ann").say(&garden, "platypus").await;
    assert_eq!((sent.ordinal, sent.content.as_deref()), (41, Some("platypus")));
    server.rebuild().await;
    let kept = server.client("bob").messages(&garden).await;
    assert_eq!(kept.last(), Some(&sent));
    assert!(
        kept[..40]
            .iter()
            .filter(|m| m.from_user_id == "ann")
            .all(|m| m.content.is_none())
    );
}

#[tokio::test]
async fn a_founder_whose_key_is_gone_takes_the_name_of_the_group_along() {
    let mut server = TestServer::start().await;
    let garden = server.client("ann").group("quokka garden", &["bob"]).await.id;
    let sent = server.client("bob").say(&garden, "hello").await;
    assert!(server.terminate().await.success());
    delete_key(&server.folder, "ann").await;
    server.folder.run(["rebuild"]).await.succeeded();
    server.restart().await;
    let seen = server.client("bob").conversation(&garden).await;
    assert_eq!(
        (seen.name, seen.owner_id.as_deref(), seen.member_count),
        (None, Some("ann"), 2)
    );
    assert_eq!(server.client("bob").messages(&garden).await, [sent]);
    server.client("ann").say(&garden, "still a member").await;
}

/// Deletes a user's keys as whoever runs the server does.
pub(super) async fn delete_key(folder: &Folder, user: &str) {
    let deleted = match folder.cluster() {
        None => {
            let options = SqliteConnectOptions::new().filename(folder.data().join("keys.db"));
            let mut keys = options.connect().await.unwrap();
            let deleted = sqlx::query("DELETE FROM user_keys WHERE tenant_id = ? AND user_id = ?")
                .bind(token::DEFAULT_TENANT)
                .bind(user)
                .execute(&mut keys)
                .await
                .unwrap();
            keys.close().await.unwrap();
            deleted.rows_affected()
        }
        Some(cluster) => {
            let mut keys = PgConnection::connect(&cluster.database).await.unwrap();
            let statement = format!(
                "DELETE FROM \"{}_keys\".user_keys WHERE tenant_id = $1 AND user_id = $2",
                cluster.namespace
            );
            let deleted = sqlx::query(AssertSqlSafe(statement))
                .bind(token::DEFAULT_TENANT)
                .bind(user)
                .execute(&mut keys)
                .await
                .unwrap();
            deleted.rows_affected()
        }
    };
    assert!(deleted > 0, "{user} had no key");
}

/// The answers as they must be once this user's words are gone.
fn erased(mut answers: Value, user: &str) -> Value {
    let erase = |value: &mut Value| {
        if value["fromUserId"] == user {
            value["content"] = Value::Null;
        }
        if value["user"]["id"] == user {
            value["user"]["name"] = Value::Null;
            value["user"]["avatar"] = Value::Null;
        }
        if value["lastMessage"]
            .as_str()
            .is_some_and(|last| last.contains("quokka"))
        {
            value["lastMessage"] = Value::Null;
        }
        // A direct conversation may be called after the other one.
        if value["name"].as_str().is_some_and(|name| name.contains("Quokka")) {
            value["name"] = Value::Null;
        }
    };
    visit(&mut answers, &erase);
    answers
}

fn visit(value: &mut Value, change: &impl Fn(&mut Value)) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| visit(field, change));
            change(value);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
        _ => {}
    }
}

/// Whether a file of the folder, called like this at the beginning, has the word in it.
fn holds(folder: &Path, prefix: &str, word: &str) -> bool {
    folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .any(|path| {
            if path.is_dir() {
                return holds(&path, prefix, word);
            }
            let wanted = path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
            let found = wanted && {
                let bytes = std::fs::read(&path).unwrap().to_ascii_lowercase();
                bytes.windows(word.len()).any(|window| window == word.as_bytes())
            };
            if found {
                tests::report(&format!("{} holds {word:?}", path.display()));
            }
            found
        })
}
