//! Every statement is prepared and has an index for whatever grows; and whatever is found in the database at
//! the start, a whole read model comes of it, or a clear error.

use std::time::Instant;

use eventstore::contract::postgres::{PostgresServer, fresh_namespace};
use eventstore::log::Epoch;
use eventstore::postgres::ACQUIRE_TIMEOUT;
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqlSafeStr};

use super::*;
use crate::contract::{NOW, list};
use crate::fold::Changes;
use crate::rebuild::Generations;

const GROWING: [&str; 15] = [
    "conversations",
    "members",
    "messages",
    "read_moves",
    "users",
    "commands",
    "snapshots",
    "message_versions",
    "reactions",
    "hidden_messages",
    "settings",
    "user_statuses",
    "push_subscriptions",
    "attachments",
    "attachment_uses",
];

fn config(server: &PostgresServer, namespace: &str) -> PostgresConfig {
    PostgresConfig {
        url: server.url(),
        namespace: namespace.to_owned(),
        readers: 4,
        writers: 2,
    }
}

async fn fresh() -> PostgresConfig {
    config(PostgresServer::shared().await, &fresh_namespace())
}

async fn connect(config: &PostgresConfig) -> PgConnection {
    let database = Database::parse(&config.url, &config.namespace).unwrap();
    database
        .connect(&database.schema("read"), WRITE_TIMEOUT)
        .await
        .unwrap()
}

async fn execute(config: &PostgresConfig, statement: &'static str) {
    connect(config).await.execute(statement).await.unwrap();
}

/// Lets the model stand at this sequence.
async fn stand_at(model: &dyn ProjectionStore, sequence: u64) {
    let from = Checkpoint::start(Epoch::draw(), 0);
    let to = Checkpoint { sequence, ..from };
    let changes = Changes::default();
    model.apply(&Batch { from, to, changes }).await.unwrap();
}

async fn sequence_at(config: &PostgresConfig) -> Option<u64> {
    let model = PostgresReadModel::open(config).await.unwrap();
    let checkpoint = model.checkpoint(0).await.unwrap();
    model.close().await;
    checkpoint.map(|checkpoint| checkpoint.sequence)
}

#[tokio::test]
async fn every_statement_is_prepared_and_has_an_index_for_what_grows() {
    let config = fresh().await;
    PostgresReadModel::open(&config).await.unwrap();
    let mut connection = connect(&config).await;
    // A plan for any arguments, in which only what has no other way is scanned from end to end.
    connection
        .execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        .await
        .unwrap();
    for (file, statement) in sql::ALL {
        let prepared = connection.prepare(AssertSqlSafe(*statement).into_sql_str()).await;
        assert!(prepared.is_ok(), "{file}: {}", prepared.err().unwrap());
        let nulls = (1..).take_while(|n| statement.contains(&format!("${n}"))).count();
        let nulls = vec!["NULL"; nulls].join(", ");
        let arguments = if nulls.is_empty() {
            nulls
        } else {
            format!("({nulls})")
        };
        let explain = format!("PREPARE asked AS {statement}; EXPLAIN EXECUTE asked{arguments}");
        let (prepare, explain) = explain.split_once("; EXPLAIN").unwrap();
        connection
            .execute(AssertSqlSafe(prepare.to_owned()))
            .await
            .unwrap();
        let steps: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("EXPLAIN{explain}")))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.execute("DEALLOCATE asked").await.unwrap();
        for table in GROWING {
            let scan = format!("Seq Scan on {table}");
            assert!(
                !steps.iter().any(|step| step.contains(&scan)),
                "{file}: {steps:#?}"
            );
        }
        // A page of messages is read in the order of an index, however long the conversation is.
        let sorts = steps
            .iter()
            .any(|step| step.contains("Sort Key") && step.contains("ordinal"));
        assert!(!(sorts && file.starts_with("messages_")), "{file}: {steps:#?}");
    }
}

fn files_of(folder: &str) -> Vec<String> {
    let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn both_dialects_have_the_same_statements_and_migrations() {
    let statements: Vec<_> = sql::ALL.iter().map(|(file, _)| (*file).to_owned()).collect();
    let mut sorted = statements.clone();
    sorted.sort_unstable();
    for dialect in ["sqlite", "postgres"] {
        assert_eq!(files_of(&format!("src/store/{dialect}/sql")), sorted, "{dialect}");
    }
    for of in ["read", "keys"] {
        assert_eq!(
            files_of(&format!("../migrations/sqlite/{of}")),
            files_of(&format!("../migrations/postgres/{of}"))
        );
    }
}

#[tokio::test]
async fn nodes_that_start_at_once_make_it_once() {
    let config = fresh().await;
    let opening = (0..8).map(|_| PostgresReadModel::open(&config));
    for opened in futures::future::join_all(opening).await {
        assert_eq!(opened.unwrap().checkpoint(0).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_schema_of_another_version_is_discarded() {
    let changes = [
        "UPDATE _sqlx_migrations SET checksum = '\\x00'",
        "UPDATE _sqlx_migrations SET success = false",
        "DELETE FROM _sqlx_migrations",
        "INSERT INTO _sqlx_migrations VALUES (9999, 'newer', now(), true, '\\x00', 0)",
        "DROP TABLE _sqlx_migrations",
    ];
    for change in changes {
        let config = fresh().await;
        stand_at(&PostgresReadModel::open(&config).await.unwrap(), 1).await;
        assert_eq!(sequence_at(&config).await, Some(1));
        execute(&config, change).await;
        assert_eq!(sequence_at(&config).await, None, "{change}");
        stand_at(&PostgresReadModel::open(&config).await.unwrap(), 3).await;
        assert_eq!(sequence_at(&config).await, Some(3), "{change}");
    }
}

#[tokio::test]
async fn a_schema_of_someone_else_is_left_alone() {
    let config = fresh().await;
    let create = format!(
        "CREATE SCHEMA \"{0}_read\"; CREATE TABLE \"{0}_read\".theirs ()",
        config.namespace
    );
    connect(&config)
        .await
        .execute(AssertSqlSafe(create))
        .await
        .unwrap();
    let error = PostgresReadModel::open(&config).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
    execute(&config, "SELECT FROM theirs").await;
}

#[tokio::test]
async fn what_is_closed_is_unavailable() {
    let config = fresh().await;
    let model = PostgresReadModel::open(&config).await.unwrap();
    model.close().await;
    model.close().await;
    assert!(matches!(
        model.checkpoint(0).await,
        Err(StoreError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_database_that_is_away_is_unavailable_soon_and_used_again_when_it_is_back() {
    let mut server = PostgresServer::start().await;
    let config = config(&server, "verbatim");
    let model = PostgresReadModel::open(&config).await.unwrap();
    stand_at(&model, 7).await;
    server.kill().await;
    let started = Instant::now();
    for _ in 0..2 {
        let asked = model.checkpoint(0).await;
        assert!(matches!(asked, Err(StoreError::Unavailable(_))), "{asked:?}");
    }
    // Once it is known, nobody waits for it.
    let waiting = async {
        loop {
            let started = Instant::now();
            assert!(model.checkpoint(0).await.is_err());
            if started.elapsed() < ACQUIRE_TIMEOUT / 10 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap();
    let opened = PostgresReadModel::open(&config).await;
    assert!(
        matches!(opened, Err(OpenError::Store(StoreError::Unavailable(_)))),
        "{opened:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    server.restart().await;
    let back = async {
        loop {
            match model.checkpoint(0).await {
                Ok(checkpoint) => return checkpoint,
                Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let checkpoint = tokio::time::timeout(Duration::from_secs(30), back).await.unwrap();
    assert_eq!(checkpoint.map(|checkpoint| checkpoint.sequence), Some(7));
}

/// A server that stands still answers nobody and refuses nobody.
#[tokio::test]
async fn a_database_that_has_gone_silent_is_unavailable_soon_and_leaves_nothing_behind() {
    let server = PostgresServer::start().await;
    let config = config(&server, "verbatim");
    let model = PostgresReadModel::open(&config).await.unwrap();
    stand_at(&model, 7).await;
    let (tenant, ann) = (TenantId::parse("t").unwrap(), UserId::parse("ann").unwrap());
    let ask = async || model.conversations(&tenant, &ann, list(10, None), NOW).await;
    // Connections that are trusted when the server stops.
    for answer in futures::future::join_all((0..4).map(|_| ask())).await {
        answer.unwrap();
    }
    server.freeze();
    let started = Instant::now();
    for answer in futures::future::join_all((0..4).map(|_| ask())).await {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    assert!(model.health().is_err());
    let started = Instant::now();
    assert!(ask().await.is_err());
    assert!(started.elapsed() < ACQUIRE_TIMEOUT / 10, "it is known by now");

    server.thaw();
    let back = async {
        while ask().await.is_err() || model.health().is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.unwrap();
    // No connection is still in the transaction of a question that was given up: a rebuild would wait for
    // it, and whoever was lent that connection would read of the past for ever.
    let mut connection = connect(&config).await;
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    let none_is_left = async {
        while sqlx::query_scalar::<_, i64>(idle)
            .fetch_one(&mut connection)
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), none_is_left)
        .await
        .unwrap();
    model.begin().await.unwrap().swap().await.unwrap();
    assert!(model.checkpoint(0).await.unwrap().is_none());
}

#[tokio::test]
async fn there_is_one_rebuild_at_a_time_on_all_nodes() {
    let config = fresh().await;
    let one = PostgresReadModel::open(&config).await.unwrap();
    let other = PostgresReadModel::open(&config).await.unwrap();
    let next = one.begin().await.unwrap();
    let Err(error) = other.begin().await else {
        panic!("a second rebuild began")
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    // As when its node dies.
    drop(next);
    other.begin().await.unwrap().discard().await.unwrap();
}

#[tokio::test]
async fn texts_may_hold_whatever_the_domain_lets_pass() {
    let config = fresh().await;
    let model = PostgresReadModel::open(&config).await.unwrap();
    let stream = Stream::User(TenantId::parse("t").unwrap(), UserId::parse("đ\"'\\").unwrap());
    let state: String = (1..=0x2ff)
        .filter_map(char::from_u32)
        .chain(['\u{10ffff}'])
        .collect();
    let snapshot = Snapshot {
        schema: "s".to_owned(),
        epoch: Epoch::draw(),
        head: 1,
        commit_id: domain::CommitId::from_bytes([1; 16]),
        version: 1,
        time: Timestamp::from_millis(0),
        state,
    };
    model.save(&stream, &snapshot).await.unwrap();
    assert_eq!(
        SnapshotStore::load(&model, &stream).await.unwrap(),
        Some(snapshot)
    );
}
