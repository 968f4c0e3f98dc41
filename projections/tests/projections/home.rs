//! Where the stores of these tests live.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use projections::SqliteReadModel;
use projections::contract::Home;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

/// A folder with a `read.db` in it.
pub(crate) struct SqliteHome {
    folder: TempDir,
}

impl SqliteHome {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("read.db")
    }
}

#[async_trait]
impl Home for SqliteHome {
    type Store = SqliteReadModel;

    async fn fresh() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn open(&self) -> Arc<SqliteReadModel> {
        Arc::new(SqliteReadModel::open(&self.path()).await.unwrap())
    }

    async fn dump(&self) -> String {
        let options = SqliteConnectOptions::new().filename(self.path()).read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('_sqlx_migrations', 'snapshots')
             ORDER BY name",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let mut dump = String::new();
        for table in tables {
            let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)")
                .bind(&table)
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let values: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
            let select = format!("SELECT {} FROM {table} ORDER BY 1", values.join(" || ' ' || "));
            let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(select))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            for row in rows {
                dump.push_str(&format!("{table}: {row}\n"));
            }
        }
        connection.close().await.unwrap();
        dump
    }
}
