//! Users: what they are called, and whether they are let in.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::nodes::Nodes;
use tests::{Client, Folder, Socket, TestServer, eventually, token};

/// A token of a backend.
fn service(folder: &Folder) -> String {
    let claims = token::with(token::claims("backend"), "scope", "service".into());
    token::sign(&claims, &folder.secret())
}

async fn called(client: &Client, id: &str) -> Value {
    let answer = client.get(&format!("/users?ids={id}")).send().await.expect(200);
    answer.json::<Value>()["data"][0].clone()
}

#[tokio::test]
async fn users_say_what_they_are_called() {
    let server = TestServer::start().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let chat = ann.direct("bob").await.id;
    // Who is not called anything yet needs a name.
    let nameless = json!({"avatar": "https://example.org/a.png"});
    ann.put("/users/me", &nameless).send().await.expect(422).problem();
    let body = json!({"name": "Annie", "avatar": "https://example.org/a.png"});
    let answer = ann.put("/users/me", &body).send().await.expect(200);
    assert!(answer.sequence() > 0);
    let expected = json!({"id": "ann", "name": "Annie", "avatar": "https://example.org/a.png"});
    let mut account = expected.clone();
    account["status"] = json!("ACTIVE");
    assert_eq!(answer.json::<Value>(), account);
    eventually("bob sees the new name", async || {
        let seen = called(&bob, "ann").await;
        if seen == expected {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    })
    .await;
    let members = bob.conversation(&chat).await.members;
    let shown = members.iter().find(|member| member.user_id == "ann").unwrap();
    assert_eq!(shown.user.name.as_deref(), Some("Annie"));
    // What is missing stays, and null takes the picture away.
    let answer = ann.put("/users/me", &json!({"avatar": null})).send().await;
    let answer: Value = answer.expect(200).json();
    assert_eq!(
        (&answer["name"], &answer["avatar"]),
        (&json!("Annie"), &Value::Null)
    );
    for bad in [
        json!({"name": ""}),
        json!({"name": 7}),
        json!({"avatar": "a.png"}),
        json!([]),
    ] {
        ann.put("/users/me", &bad).send().await.expect(422).problem();
    }
    assert_eq!(called(&ann, "ann").await["name"], "Annie");
}

#[tokio::test]
async fn what_the_identity_provider_says_anew_counts_and_what_it_repeats_does_not() {
    let server = TestServer::start().await;
    let as_named = |name: &str| {
        let claims = token::with(token::claims("ann"), "name", name.into());
        server.with_token(&token::sign(&claims, &server.folder.secret()))
    };
    let ann = as_named("Ann");
    ann.conversations().await;
    let is_called = async |client: &Client, name: &str| {
        eventually(name, async || {
            let seen = called(client, "ann").await;
            if seen["name"] == name {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        })
        .await;
    };
    is_called(&ann, "Ann").await;
    ann.put("/users/me", &json!({"name": "Annie"}))
        .send()
        .await
        .expect(200);
    is_called(&ann, "Annie").await;
    // Another node, or the same one after a long time, asks the user's stream again.
    let bob = server.client("bob");
    let ann = as_named("Ann");
    ann.conversations().await;
    is_called(&bob, "Annie").await;
    as_named("Anna").conversations().await;
    is_called(&bob, "Anna").await;
}

#[tokio::test]
async fn backends_alone_change_other_users() {
    let server = TestServer::start().await;
    let backend = server.with_token(&service(&server.folder));
    let ann = server.client("ann");
    for path in ["/users/bob", "/users/ann", "/users/nobody-at-all", "/users/%00"] {
        let refused = ann.put(path, &json!({"name": "Me"})).send().await.expect(403);
        assert_eq!(refused.problem()["code"], "forbidden");
    }
    let body = json!({"name": "Bob", "status": "INACTIVE"});
    let answer: Value = backend
        .put("/users/b%2Fo%20b", &body)
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(
        answer,
        json!({"id": "b/o b", "name": "Bob", "avatar": null, "status": "INACTIVE"})
    );
    assert_eq!(called(&backend, "b%2Fo%20b").await, answer);
    let seen = called(&ann, "b%2Fo%20b").await;
    assert_eq!(seen, json!({"id": "b/o b", "name": "Bob", "avatar": null}));
    for bad in [
        json!({"status": "GONE"}),
        json!({"status": 1}),
        json!({"avatar": "x"}),
    ] {
        backend.put("/users/bob", &bad).send().await.expect(422).problem();
    }
    // A status needs no name.
    backend
        .put("/users/cid", &json!({"status": "BLOCKED"}))
        .send()
        .await
        .expect(200);
    // Another tenant's user of the same name is someone else.
    let claims = token::with(token::claims("cid"), "tenant", "elsewhere".into());
    let other = server.with_token(&token::sign(&claims, &server.folder.secret()));
    assert!(other.conversations().await.is_empty());
}

#[tokio::test]
async fn who_is_blocked_is_out_within_a_second_on_every_node() {
    let nodes = Nodes::start().await;
    let (one, other) = (nodes.one(), nodes.other());
    let token = one.folder.token("bob");
    let chat = one.client("ann").direct("bob").await.id;
    let mut sockets = [
        Socket::connect(one.address(), &token).await,
        Socket::connect(other.address(), &token).await,
    ];
    let mut bystander = Socket::connect(other.address(), &one.folder.token("ann")).await;
    let backend = one.with_token(&service(&one.folder));

    for (status, code) in [("BLOCKED", "user_blocked"), ("INACTIVE", "user_inactive")] {
        backend
            .put("/users/bob", &json!({"status": status}))
            .send()
            .await
            .expect(200);
        let began = Instant::now();
        for socket in &mut sockets {
            assert_eq!(socket.closed().await.0, Some(4500));
        }
        let took = began.elapsed();
        tests::report(&format!("{status}: the sockets were closed after {took:?}"));
        assert!(took < Duration::from_secs(5), "{took:?}");
        // At the node that was told of it at once, and at the others soon.
        let refused = one.client("bob").get("/conversations").send().await.expect(401);
        assert_eq!(refused.problem()["code"], code);
        eventually("the other node refuses too", async || {
            let answer = other.client("bob").get("/conversations").send().await;
            if answer.status == 401 {
                Ok(())
            } else {
                Err(answer.status.to_string())
            }
        })
        .await;
        for node in nodes.both() {
            assert_eq!(tests::socket::refusal(node.address(), &token).await, 401);
            let mut socket = Socket::anonymous(node.address(), "/ws").await;
            socket.emit("authenticate", &json!({"token": token})).await;
            assert_eq!(socket.closed().await.0, Some(4500));
        }
        backend
            .put("/users/bob", &json!({"status": "ACTIVE"}))
            .send()
            .await
            .expect(200);
        for (node, socket) in nodes.both().into_iter().zip(&mut sockets) {
            eventually("bob is let in again", async || {
                let answer = node.client("bob").get("/conversations").send().await;
                if answer.status == 200 {
                    Ok(())
                } else {
                    Err(answer.status.to_string())
                }
            })
            .await;
            *socket = Socket::connect(node.address(), &token).await;
        }
    }
    let sent = one.client("ann").say(&chat, "welcome back").await;
    for socket in sockets.iter_mut().chain([&mut bystander]) {
        assert_eq!(socket.new_message().await, sent);
    }
}

#[tokio::test]
async fn who_was_blocked_stays_out_after_a_restart() {
    let mut server = TestServer::start().await;
    let backend = server.with_token(&service(&server.folder));
    backend
        .put("/users/bob", &json!({"status": "BLOCKED"}))
        .send()
        .await
        .expect(200);
    server.kill();
    server.restart().await;
    server
        .client("bob")
        .get("/conversations")
        .send()
        .await
        .expect(401);
    server
        .client("ann")
        .get("/conversations")
        .send()
        .await
        .expect(200);
}
