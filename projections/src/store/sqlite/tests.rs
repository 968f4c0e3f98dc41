//! Every statement is prepared and none reads a table from end to end; and whatever file is found at the
//! start, a whole read model comes of it.

use std::path::PathBuf;

use eventstore::log::Epoch;
use sqlx::SqliteConnection;
use tempfile::TempDir;

use super::generation::{Generation, next_of};
use super::*;
use crate::fold::Changes;

/// The tables that grow. The checkpoints are a row per shard.
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

async fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(connection).await.unwrap();
    steps.into_iter().map(|(.., detail)| detail).collect()
}

#[tokio::test]
async fn every_statement_is_prepared_and_none_scans_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let model = SqliteReadModel::open(&folder.path().join("read.db"))
        .await
        .unwrap();
    let live = model.live().await.unwrap();
    let mut connection = live.writer.lock().await;
    for (file, statement) in sql::ALL {
        let steps = plan(&mut connection, statement).await;
        // A page of messages is read in the order of the table, however long the conversation is.
        // Only the few reactions to each are grouped.
        let sorts = steps
            .iter()
            .any(|step| step.contains("TEMP B-TREE") && !step.contains("BY"));
        assert!(!(sorts && file.starts_with("messages_")), "{file}: {steps:?}");
        for step in &steps {
            let Some(scanned) = step.strip_prefix("SCAN ") else {
                continue;
            };
            let name = scanned.split(' ').next().unwrap();
            let grows = GROWING
                .iter()
                .any(|table| name == *table || statement.contains(&format!("{table} AS {name}")));
            assert!(!grows, "{file}: {step}");
        }
    }
}

#[test]
fn every_file_is_a_statement() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sqlite/sql");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            sql::ALL.iter().any(|(known, _)| *known == name),
            "{name} is never run"
        );
    }
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("read.db");
    (folder, path)
}

/// Lets the model stand at this sequence.
async fn stand_at(model: &SqliteReadModel, sequence: u64) {
    let from = Checkpoint::start(Epoch::draw(), 0);
    let to = Checkpoint { sequence, ..from };
    let changes = Changes::default();
    model.apply(&Batch { from, to, changes }).await.unwrap();
}

async fn sequence_at(path: &Path) -> Option<u64> {
    let model = SqliteReadModel::open(path).await.unwrap();
    let checkpoint = model.checkpoint(0).await.unwrap();
    model.close().await.unwrap();
    checkpoint.map(|checkpoint| checkpoint.sequence)
}

/// A next generation that stands at this sequence, as a crash leaves it.
async fn leave_next(path: &Path, sequence: u64, is_complete: bool) {
    let next = SqliteReadModel::open_generation(&next_of(path), 1).await.unwrap();
    stand_at(&next, sequence).await;
    let generation: Generation = next.live.write().await.take().unwrap();
    if is_complete {
        generation.mark_complete().await.unwrap();
    }
    generation.close().await.unwrap();
}

async fn execute(path: &Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let mut connection = <SqliteConnection as sqlx::Connection>::connect_with(&options)
        .await
        .unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn a_swap_that_was_interrupted_is_finished() {
    // The crash came when the next generation was complete; when the live one's write-ahead log was
    // gone; when the live one was not there at all.
    for gone in [&[][..], &["-wal", "-shm"], &["", "-wal", "-shm"]] {
        let (_folder, path) = place();
        let live = SqliteReadModel::open(&path).await.unwrap();
        stand_at(&live, 1).await;
        // Copied while it is open: with a write-ahead log that belongs to the old file.
        let (_other, copy) = place();
        for suffix in ["", "-wal", "-shm"]
            .iter()
            .filter(|suffix| !gone.contains(suffix))
        {
            let file = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            std::fs::copy(file(&path), file(&copy)).unwrap();
        }
        leave_next(&copy, 2, true).await;
        assert_eq!(sequence_at(&copy).await, Some(2), "without {gone:?}");
        assert!(!next_of(&copy).exists());
        assert_eq!(sequence_at(&copy).await, Some(2));
    }
}

#[tokio::test]
async fn a_rebuild_that_was_interrupted_is_deleted() {
    let (_folder, path) = place();
    stand_at(&SqliteReadModel::open(&path).await.unwrap(), 1).await;
    leave_next(&path, 2, false).await;
    assert_eq!(sequence_at(&path).await, Some(1));
    assert!(!next_of(&path).exists());
    std::fs::write(next_of(&path), b"no database").unwrap();
    assert_eq!(sequence_at(&path).await, Some(1));
    assert!(!next_of(&path).exists());
}

#[tokio::test]
async fn a_file_of_another_schema_is_discarded() {
    let changes = [
        "UPDATE _sqlx_migrations SET checksum = x'00'",
        "UPDATE _sqlx_migrations SET success = 0",
        "DELETE FROM _sqlx_migrations",
        "INSERT INTO _sqlx_migrations VALUES (9999, 'newer', 0, 1, x'00', 0)",
        "DROP TABLE _sqlx_migrations",
    ];
    for change in changes {
        let (_folder, path) = place();
        let model = SqliteReadModel::open(&path).await.unwrap();
        stand_at(&model, 1).await;
        model.close().await.unwrap();
        assert_eq!(sequence_at(&path).await, Some(1));
        execute(&path, change).await;
        assert_eq!(sequence_at(&path).await, None, "{change}");
        stand_at(&SqliteReadModel::open(&path).await.unwrap(), 3).await;
        assert_eq!(sequence_at(&path).await, Some(3), "{change}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_discarded() {
    let (_folder, path) = place();
    std::fs::write(
        &path,
        "no database at all, but long enough to look like one".repeat(100),
    )
    .unwrap();
    assert_eq!(sequence_at(&path).await, None);
    std::fs::write(&path, b"").unwrap();
    assert_eq!(
        sequence_at(&path).await,
        None,
        "an empty file is an empty database"
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let (_folder, path) = place();
    assert!(
        SqliteReadModel::open(&path.join("nowhere/read.db"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_is_closed_is_unavailable() {
    let (_folder, path) = place();
    let model = SqliteReadModel::open(&path).await.unwrap();
    stand_at(&model, 1).await;
    model.close().await.unwrap();
    model.close().await.unwrap();
    assert!(matches!(
        model.checkpoint(0).await,
        Err(StoreError::Unavailable(_))
    ));
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "the file alone holds everything: {left:?}");
}
