//! What a node says that cannot start because of what it stands on.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use eventstore::contract::nats::NatsServer;
use eventstore::contract::postgres::PostgresServer;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::deployment::{Cluster, is_cluster};
use tests::{Folder, TestServer};

/// How long a start that cannot succeed may take, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(20);

/// Starts a node that must not start, and gives what it told about that: one error with its causes, for
/// people, soon, with all of these words.
pub(super) async fn refused(folder: Folder, words: &[&str]) -> String {
    let start = Instant::now();
    let ended = folder.spawn_server().wait().await;
    let took = start.elapsed();
    let said = ended.stderr;
    assert!(
        !ended.status.success() && ended.stdout.is_empty(),
        "it started: {said}"
    );
    assert!(took < SOON, "it took {took:?}: {said}");
    let (_, told) = said
        .split_once("Error: ")
        .unwrap_or_else(|| panic!("no error: {said}"));
    assert!(!told.contains("Error: "), "two errors: {said}");
    for unclear in [
        "panicked",
        " at line ",
        "Stack backtrace",
        "Some(",
        "Err(",
        "secret",
        "{",
        "pool timed",
    ] {
        assert!(!told.contains(unclear), "{unclear}: {told}");
    }
    for word in words {
        assert!(told.contains(word), "nothing of {word}: {told}");
    }
    told.to_owned()
}

/// Where nobody listens.
fn nowhere() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[tokio::test]
async fn nats_that_is_away_or_refuses_is_named_with_the_reason() {
    if !is_cluster() {
        return;
    }
    let postgres = PostgresServer::shared().await;
    let start = |nats: String| Folder::of(Some(Cluster::on(nats, postgres.url())));
    let (port, other) = (nowhere(), nowhere());
    let away = format!("nats://ann:secret@127.0.0.1:{port},nats://127.0.0.1:{other}");
    let named = format!("NATS at 127.0.0.1:{port}, 127.0.0.1:{other}");
    refused(start(away), &[&named, "refused"]).await;

    let guarded = NatsServer::start_with("authorization { user: ann, password: \"secret\" }").await;
    let named = format!("NATS at {}", guarded.address());
    for login in ["", "ann:secret-not@"] {
        let folder = start(format!("nats://{login}{}", guarded.address()));
        refused(folder, &[&named, "refuses the user, password"]).await;
    }
    // What the client library says of the same is told to those who ask for it.
    for (filter, is_told) in [(None, false), (Some("info"), true)] {
        let mut folder = start(guarded.url());
        let filter = filter.map(|filter: &str| ("VERBATIM_LOG", filter.to_owned()));
        folder.variables.extend(filter);
        let said = folder.spawn_server().wait().await.stderr;
        assert_eq!(said.contains("async_nats"), is_told, "{said}");
    }
    let server = TestServer::start_on(start(format!("nats://ann:secret@{}", guarded.address()))).await;
    server.client("ann").group("Garden", &["bob"]).await;
    drop(server);

    let stateless = NatsServer::start_with("jetstream: disabled").await;
    let named = format!("NATS at {}", stateless.address());
    refused(start(stateless.url()), &[&named, "has no JetStream"]).await;
}

#[tokio::test]
async fn postgres_that_is_away_or_refuses_is_named_with_the_reason() {
    if !is_cluster() {
        return;
    }
    let (nats, postgres) = tokio::join!(NatsServer::start(), PostgresServer::start());
    let on = |database: String| Cluster::on(nats.url(), database);
    let port = nowhere();
    let away = format!("postgres://verbatim:secret@127.0.0.1:{port}/chat");
    let named = format!("Postgres at 127.0.0.1:{port}, database \"chat\"");
    refused(Folder::of(Some(on(away))), &[&named, "refused"]).await;

    let user = postgres.make_user_with_password("secret").await;
    let port = postgres.port();
    let at = format!("Postgres at 127.0.0.1:{port}");
    let with = |login: &str, database: &str| format!("postgres://{login}@127.0.0.1:{port}/{database}");
    let wrong = on(with(&format!("{user}:secret-not"), "postgres"));
    refused(Folder::of(Some(wrong)), &[&at, "password authentication failed"]).await;
    let missing = on(with("verbatim", "missing"));
    refused(Folder::of(Some(missing)), &[&at, "\"missing\" does not exist"]).await;

    for (part, words) in [
        ("keys", "holds tables of something else"),
        ("read", "is not a read model"),
    ] {
        let cluster = on(with(&format!("{user}:secret"), "postgres"));
        let schema = format!("{}_{part}", cluster.namespace);
        let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
        let make = format!("CREATE SCHEMA \"{schema}\"; CREATE TABLE \"{schema}\".user_keys (mine int)");
        sqlx::raw_sql(AssertSqlSafe(make))
            .execute(&mut connection)
            .await
            .unwrap();
        refused(Folder::of(Some(cluster)), &[&at, &schema, words]).await;
    }
}
