//! Where the stores of these tests live.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use eventstore::contract::postgres::{PostgresServer, fresh_namespace};
use projections::contract::Home;
use projections::{PostgresConfig, PostgresReadModel, SqliteReadModel};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
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

    async fn beside(&self, open: &Arc<SqliteReadModel>) -> Arc<SqliteReadModel> {
        Arc::clone(open)
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
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select))
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

/// A namespace in the server that these tests share.
pub(crate) struct PostgresHome {
    config: PostgresConfig,
}

#[async_trait]
impl Home for PostgresHome {
    type Store = PostgresReadModel;

    async fn fresh() -> Self {
        Self {
            config: PostgresConfig {
                url: PostgresServer::shared().await.url(),
                namespace: fresh_namespace(),
                readers: 3,
                writers: 2,
            },
        }
    }

    async fn open(&self) -> Arc<PostgresReadModel> {
        Arc::new(PostgresReadModel::open(&self.config).await.unwrap())
    }

    async fn beside(&self, _: &Arc<PostgresReadModel>) -> Arc<PostgresReadModel> {
        self.open().await
    }

    async fn dump(&self) -> String {
        let mut connection = PgConnection::connect(&self.config.url).await.unwrap();
        let schema = format!("{}_read", self.config.namespace);
        let tables: Vec<(String, String)> = sqlx::query_as(
            "SELECT table_name::text, string_agg(format('quote_nullable(%I)', column_name), ' || '' '' || '
                 ORDER BY ordinal_position)
             FROM information_schema.columns
             WHERE table_schema = $1 AND table_name NOT IN ('_sqlx_migrations', 'snapshots')
             GROUP BY table_name ORDER BY table_name",
        )
        .bind(&schema)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert!(!tables.is_empty());
        let mut dump = String::new();
        for (table, columns) in tables {
            let select = format!("SELECT {columns} FROM \"{schema}\".{table}");
            let mut rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            rows.sort_unstable();
            for row in rows {
                dump.push_str(&format!("{table}: {row}\n"));
            }
        }
        connection.close().await.unwrap();
        dump
    }
}

/// A place in which every row that is written is counted.
#[async_trait]
pub(crate) trait Counting: Home {
    /// Counts from now on.
    async fn count_writes(&self);

    /// How many rows were inserted, updated and deleted since, by table.
    async fn take_writes(&self) -> BTreeMap<String, i64>;
}

#[async_trait]
impl Counting for SqliteHome {
    async fn count_writes(&self) {
        let options = SqliteConnectOptions::new().filename(self.path());
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let mut script = "CREATE TABLE written (name TEXT NOT NULL);".to_owned();
        for table in tables {
            for change in ["INSERT", "UPDATE", "DELETE"] {
                script += &format!(
                    "CREATE TRIGGER {table}_{change} AFTER {change} ON {table}
                     BEGIN INSERT INTO written VALUES ('{table}'); END;"
                );
            }
        }
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    async fn take_writes(&self) -> BTreeMap<String, i64> {
        let options = SqliteConnectOptions::new().filename(self.path());
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let names: Vec<String> = sqlx::query_scalar("DELETE FROM written RETURNING name")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        tally(names)
    }
}

#[async_trait]
impl Counting for PostgresHome {
    async fn count_writes(&self) {
        let mut connection = PgConnection::connect(&self.config.url).await.unwrap();
        let schema = format!("{}_read", self.config.namespace);
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1")
                .bind(&schema)
                .fetch_all(&mut connection)
                .await
                .unwrap();
        let mut script = format!(
            "CREATE TABLE \"{schema}\".written (name text NOT NULL);
             CREATE FUNCTION \"{schema}\".write_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO \"{schema}\".written VALUES (TG_TABLE_NAME); RETURN NULL; END $$;"
        );
        for table in tables {
            script += &format!(
                "CREATE TRIGGER written AFTER INSERT OR UPDATE OR DELETE ON \"{schema}\".{table}
                 FOR EACH ROW EXECUTE FUNCTION \"{schema}\".write_down();"
            );
        }
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    async fn take_writes(&self) -> BTreeMap<String, i64> {
        let mut connection = PgConnection::connect(&self.config.url).await.unwrap();
        let take = format!(
            "DELETE FROM \"{}_read\".written RETURNING name",
            self.config.namespace
        );
        let names: Vec<String> = sqlx::query_scalar(AssertSqlSafe(take))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        tally(names)
    }
}

fn tally(names: Vec<String>) -> BTreeMap<String, i64> {
    let mut tally = BTreeMap::new();
    for name in names {
        *tally.entry(name).or_default() += 1;
    }
    tally
}
