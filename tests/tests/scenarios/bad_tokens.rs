//! A token that is expired, forged or none opens nothing.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tests::TestServer;
use tests::client::text;
use tests::token::{claims, sign, sign_as, tampered, unsigned, with};

#[tokio::test]
async fn forged_and_expired_tokens_are_refused_everywhere_alike() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let chat = ann.direct("bob").await.id;
    let secret = server.folder.secret();
    let honest = claims("ann");
    let good = sign(&honest, &secret);
    let now = honest["iat"].as_i64().unwrap();
    let tokens = [
        (
            "expired",
            sign(&with(honest.clone(), "exp", json!(now - 3_600)), &secret),
        ),
        ("alg none", unsigned(&honest)),
        (
            "alg none with the signature of another",
            tampered(&good, &honest) + "x",
        ),
        (
            "a wrong key",
            sign(&honest, "a wrong key that is long enough to be one"),
        ),
        ("an empty key", sign(&honest, "")),
        ("another algorithm", sign_as(Algorithm::HS512, &honest, &secret)),
        (
            "another user under the signature",
            tampered(&good, &claims("bob")),
        ),
        (
            "another tenant under the signature",
            tampered(&good, &with(honest.clone(), "tenant", json!("acme"))),
        ),
        (
            "a longer life under the signature",
            tampered(&good, &with(honest.clone(), "exp", json!(now + 9_999_999))),
        ),
        ("nobody", sign(&with(honest.clone(), "sub", Value::Null), &secret)),
        (
            "an empty user",
            sign(&with(honest.clone(), "sub", json!("")), &secret),
        ),
        ("half a token", good[..good.len() / 2].to_owned()),
        ("no token", "nonsense".to_owned()),
    ];
    for (name, token) in &tokens {
        let client = server.with_token(token);
        for answer in [
            client.get("/conversations").send().await,
            client
                .get(&format!("/conversations/{chat}/messages"))
                .send()
                .await,
            client.post_message(&chat, "forged").send().await,
            client.get("/conversations/messages/search?q=x").send().await,
        ] {
            assert_eq!(answer.status, 401, "{name}: {}", answer.text());
            answer.problem();
            assert!(
                !answer.text().contains(token.as_str()),
                "the token comes back: {name}"
            );
        }
        assert_eq!(
            tests::socket::refusal(server.address(), token).await,
            401,
            "{name}"
        );
    }
    assert!(ann.messages(&chat).await.is_empty());
}

#[tokio::test]
async fn a_token_comes_as_bearer_and_in_no_other_way() {
    let server = TestServer::start().await;
    let ann = server.folder.token("ann");
    let nobody = server.anonymous();
    nobody.get("/conversations").send().await.expect(401).problem();
    nobody
        .get(&format!("/conversations?token={ann}&access_token={ann}"))
        .send()
        .await
        .expect(401)
        .problem();
    for header in [
        format!("Basic {ann}"),
        ann.clone(),
        format!("Bearer{ann}"),
        "Bearer ".to_owned(),
    ] {
        nobody
            .get("/conversations")
            .header("authorization", &header)
            .send()
            .await
            .expect(401)
            .problem();
    }
    // The scheme's name has no case (RFC 9110).
    let lower = format!("bearer {ann}");
    nobody
        .get("/conversations")
        .header("authorization", &lower)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn a_valid_token_of_another_tenant_is_another_world() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let acme = with(claims("ann"), "tenant", json!("acme"));
    let twin = server.with_token(&sign(&acme, &server.folder.secret()));
    let chat = ann.direct("bob").await.id;
    let sent = ann.say(&chat, "hello").await;
    twin.get(&format!("/conversations/{chat}"))
        .send()
        .await
        .expect(404)
        .problem();
    twin.post("/conversations/messages", &text(&chat, "let me in"))
        .send()
        .await
        .expect(404)
        .problem();
    assert!(twin.conversations().await.is_empty());
    // The same two there have a conversation of their own, and sockets hear of their own world alone.
    let mut socket = tests::Socket::connect(server.address(), &sign(&acme, &server.folder.secret())).await;
    let theirs = twin.direct("bob").await.id;
    assert_ne!(theirs, chat);
    ann.say(&chat, "still hello").await;
    let there = twin.say(&theirs, "another hello").await;
    assert_eq!(socket.new_message().await, there);
    assert_eq!(ann.messages(&chat).await[0], sent);
    assert_eq!(ann.conversations().await.len(), 1);
}
