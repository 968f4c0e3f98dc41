//! Every statement is prepared, and none reads a table from end to end.

use super::*;

/// The tables that grow. The checkpoints are a row per shard.
const GROWING: [&str; 7] = [
    "conversations",
    "members",
    "messages",
    "read_moves",
    "users",
    "commands",
    "snapshots",
];

async fn plan(connection: &mut sqlx::SqliteConnection, statement: &str) -> Vec<String> {
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
        let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(!(sorts && file.starts_with("messages_")), "{file}: {steps:?}");
        for step in steps {
            let Some(scanned) = step.strip_prefix("SCAN ") else {
                continue;
            };
            let name = scanned.split(' ').next().unwrap();
            let is_alias_of_growing = GROWING
                .iter()
                .any(|table| name == *table || statement.contains(&format!("{table} AS {name}")));
            assert!(!is_alias_of_growing, "{file}: {step}");
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
