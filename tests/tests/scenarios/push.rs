//! Devices are notified by Web Push: encrypted for them alone, until their push service says they are gone.

use serde_json::{Value, json};
use tests::device::{Device, vapid_claims};
use tests::receiver::Receiver;
use tests::{Client, Folder, Process, TestServer, eventually};

const PATH: &str = "/users/me/push-subscriptions";

/// A server with a new pair of keys, as the command prints it, and the public one of them.
async fn server_with_push() -> (TestServer, String) {
    let printed = Process::spawn(["vapid-key"]).wait().await.succeeded().stdout;
    let value = |name: &str| {
        let line = printed.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let mut folder = Folder::new().await;
    folder.variables.extend([
        ("VERBATIM_VAPID_KEY", value("private key")),
        ("VERBATIM_VAPID_SUBJECT", "mailto:ops@example.com".to_owned()),
        ("VERBATIM_PUSH_ALLOW_PRIVATE", "true".to_owned()),
    ]);
    (TestServer::start_on(folder).await, value("public key"))
}

async fn subscriptions(client: &Client) -> Vec<Value> {
    let listed: Value = client.get(PATH).send().await.expect(200).json();
    listed["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_told_until_it_is_gone() {
    let service = Receiver::start().await;
    let (mut server, public) = server_with_push().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let key: Value = bob.get("/push/public-key").send().await.expect(200).json();
    assert_eq!(key, json!({"publicKey": public}));
    let (phone, laptop) = (Device::draw(), Device::draw());
    let [at_phone, at_laptop] = ["/phone", "/laptop"].map(|path| service.url(path));
    for (device, endpoint) in [(&phone, &at_phone), (&laptop, &at_laptop)] {
        bob.post(PATH, &device.subscription(endpoint))
            .send()
            .await
            .expect(201);
    }
    let group = ann.group("Garden", &["bob"]).await.id;
    let message = ann.say(&group, &format!("xin chào {}", "x".repeat(300))).await;
    let calls = service.wait(2).await;
    for call in &calls {
        let device = if call.path == "/phone" { &phone } else { &laptop };
        let text = device.open(&call.body);
        assert_eq!(
            (&text["type"], &text["messageId"], &text["conversationId"]),
            (&json!("message"), &json!(message.id), &json!(group))
        );
        assert_eq!(
            (&text["conversationName"], &text["senderId"]),
            (&json!("Garden"), &json!("ann"))
        );
        let preview = text["content"].as_str().unwrap();
        assert!(
            preview.starts_with("xin chào x") && preview.chars().count() == 200,
            "{preview}"
        );
        assert_eq!(
            (call.header("content-encoding"), call.header("urgency")),
            ("aes128gcm", "high")
        );
        assert!((3_000..=3_600).contains(&call.header("ttl").parse::<u32>().unwrap()));
        assert_eq!(call.header("topic").len(), 22);
        let claims = vapid_claims(call, &public);
        assert_eq!(
            (&claims["aud"], &claims["sub"]),
            (&json!(service.url("")), &json!("mailto:ops@example.com"))
        );
        assert!(claims["exp"].as_i64().unwrap() > time::OffsetDateTime::now_utc().unix_timestamp());
    }
    assert_eq!(calls[0].header("topic"), calls[1].header("topic"));

    service.answer(["410", "404"]);
    ann.say(&group, "is anybody there?").await;
    service.wait(4).await;
    eventually("both devices are gone", || async {
        let left = subscriptions(&bob).await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    // It is in the log: a rebuild knows it, too.
    server.rebuild().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    assert!(subscriptions(&bob).await.is_empty());
    bob.post(PATH, &phone.subscription(&at_phone))
        .send()
        .await
        .expect(201);
    ann.say(&group, "again").await;
    let calls = service.wait(5).await;
    assert_eq!(phone.open(&calls[4].body)["content"], "again");
    assert_eq!(calls.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_are_a_users_own_and_few() {
    let (server, _) = server_with_push().await;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let device = Device::draw();
    let subscription = device.subscription("https://push.example.com/1");
    let made: Value = ann.post(PATH, &subscription).send().await.expect(201).json();
    let again: Value = ann.post(PATH, &subscription).send().await.expect(200).json();
    assert_eq!(made, again);
    assert_eq!(subscriptions(&ann).await, std::slice::from_ref(&made));
    assert!(made.get("keys").is_none(), "keys are told nobody: {made}");
    assert!(subscriptions(&bob).await.is_empty());
    // Another's is not taken away.
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    bob.delete(&path).send().await.expect(204);
    assert_eq!(subscriptions(&ann).await.len(), 1);
    ann.delete(&path).send().await.expect(204);
    ann.delete(&path).send().await.expect(204);
    assert!(subscriptions(&ann).await.is_empty());
    ann.delete(&format!("{PATH}/nothing"))
        .send()
        .await
        .expect(404)
        .problem();

    let keyed = ann
        .post(PATH, &subscription)
        .header("idempotency-key", "one")
        .send()
        .await
        .expect(201);
    let repeated = ann
        .post(PATH, &subscription)
        .header("idempotency-key", "one")
        .send()
        .await
        .expect(201);
    assert_eq!(keyed.json::<Value>(), repeated.json::<Value>());
    for number in 2..=20 {
        let another = device.subscription(&format!("https://push.example.com/{number}"));
        ann.post(PATH, &another).send().await.expect(201);
    }
    let many = ann
        .post(PATH, &device.subscription("https://push.example.com/21"))
        .send()
        .await;
    assert_eq!(many.expect(422).problem()["code"], "too_many_subscriptions");

    let endpoint = |url: &str| device.subscription(url);
    let with = |name: &str, value: &str| {
        let mut subscription = subscription.clone();
        subscription["keys"][name] = json!(value);
        subscription
    };
    for bad in [
        json!({}),
        json!({"endpoint": "https://push.example.com/1"}),
        endpoint("ftp://push.example.com/1"),
        endpoint("http://push.example.com/1"),
        endpoint("https://u:p@push.example.com/1"),
        with("p256dh", "short"),
        with("p256dh", &format!("B{}", "A".repeat(86))),
        with("auth", "short"),
    ] {
        let refused = bob.post(PATH, &bad).send().await.expect(422);
        assert_eq!(refused.problem()["code"], "validation_failed", "{bad}");
    }
    assert!(subscriptions(&bob).await.is_empty());
    server
        .anonymous()
        .get("/push/public-key")
        .send()
        .await
        .expect(401)
        .problem();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_key_offers_no_push() {
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let subscription = Device::draw().subscription("https://push.example.com/1");
    for refused in [
        ann.get("/push/public-key").send().await,
        ann.post(PATH, &subscription).send().await,
    ] {
        assert_eq!(refused.expect(404).problem()["code"], "push_not_configured");
    }
    assert!(subscriptions(&ann).await.is_empty());
}
