//! A log that stands still: whoever watches the nodes hears of it at once, and they go on when it does.

use std::time::{Duration, Instant};

use eventstore::contract::nats::NatsServer;
use eventstore::contract::postgres::PostgresServer;
use serde_json::Value;
use tests::deployment::{Cluster, is_cluster};
use tests::process::Process;
use tests::{Folder, TestServer, eventually};

/// How long a probe may take. Nothing it asks waits longer than a second.
const PROBED: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_are_answered_while_the_log_is_silent() {
    if !is_cluster() {
        return;
    }
    let (nats, postgres) = (NatsServer::start().await, PostgresServer::shared().await);
    let cluster = Cluster::on(nats.url(), postgres.url());
    let node = TestServer::start_on(Folder::of(Some(cluster))).await;
    let ann = node.client("ann");
    let chat = ann.group("Garden", &["bob"]).await.id;
    let said = ann.say(&chat, "before").await;
    let nobody = node.anonymous();

    nats.freeze();
    for _ in 0..3 {
        let asked = Instant::now();
        let ready: Value = nobody.get("/ready").send().await.expect(503).json();
        assert_eq!(ready["ready"], false, "{ready}");
        assert_ne!(ready["stations"]["log"], "ok", "{ready}");
        nobody.get("/metrics").send().await.expect(200);
        nobody.get("/health").send().await.expect(200);
        assert!(asked.elapsed() < PROBED, "{:?}", asked.elapsed());
    }
    let asked = Instant::now();
    let health = Process::spawn(["health", "--listen", node.address()])
        .wait()
        .await;
    assert!(!health.status.success());
    assert!(
        health.stdout.contains("\"log\""),
        "{} {}",
        health.stdout,
        health.stderr
    );
    assert!(asked.elapsed() < PROBED, "{:?}", asked.elapsed());
    // What needs no log is answered.
    assert_eq!(ann.messages(&chat).await, [said]);

    nats.thaw();
    eventually("the node is ready again", || async {
        let answer = nobody.get("/ready").send().await;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    })
    .await;
    assert_eq!(ann.say(&chat, "after").await.ordinal, 2);
}
