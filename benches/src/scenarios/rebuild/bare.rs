//! The rows of all messages, inserted in bulk by one connection.

use std::path::Path;
use std::time::{Duration, Instant};

use eventstore::postgres::{Database, quoted};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, FromRow, SqliteConnection};

use crate::deployment::Place;

/// Rows of a statement, each a transaction by itself.
const AT_ONCE: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// All rows, as they were recorded one after the other.
const ROWS: &str = "
    SELECT conversation_id, ordinal, sender_id, sender_seq, kind, content, reply_to, sent_at, recorded_at, version
    FROM messages ORDER BY recorded_at, conversation_id, ordinal";

const INTO_SQLITE: &str = "
    INSERT INTO messages (
        conversation_id, ordinal, sender_id, sender_seq, kind, content, reply_to, sent_at, recorded_at, version
    )
    SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
           value ->> 7, value ->> 8, value ->> 9
    FROM jsonb_each($1)";

const INTO_POSTGRES: &str = "
    INSERT INTO messages (
        conversation_id, ordinal, sender_id, sender_seq, kind, content, reply_to, sent_at, recorded_at, version
    )
    SELECT * FROM unnest(
        $1::bytea[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
        $9::bigint[], $10::bigint[]
    )";

/// A message as the read models keep it.
#[derive(FromRow)]
pub(super) struct MessageRow {
    conversation_id: Vec<u8>,
    ordinal: i64,
    sender_id: String,
    sender_seq: i64,
    kind: String,
    content: Option<String>,
    reply_to: Option<i64>,
    sent_at: i64,
    recorded_at: i64,
    version: i64,
}

/// The rows that a stopped node has there.
pub(super) async fn rows(place: &Place) -> anyhow::Result<Vec<MessageRow>> {
    Ok(match place {
        Place::Folder(folder) => {
            let mut live = live(folder).await?;
            sqlx::query_as(ROWS).fetch_all(&mut live).await?
        }
        Place::Servers {
            database, namespace, ..
        } => {
            let database = Database::parse(database, namespace)?;
            let mut live = database.connect(&database.schema("read"), PATIENCE).await?;
            sqlx::query_as(ROWS).fetch_all(&mut live).await?
        }
    })
}

/// Inserts them beside what is there, and says how many seconds that took.
pub(super) async fn insert(place: &Place, rows: &[MessageRow]) -> anyhow::Result<f64> {
    match place {
        Place::Folder(folder) => into_sqlite(folder, rows).await,
        Place::Servers {
            database, namespace, ..
        } => into_postgres(&Database::parse(database, namespace)?, rows).await,
    }
}

async fn live(folder: &Path) -> sqlx::Result<SqliteConnection> {
    let file = SqliteConnectOptions::new().filename(folder.join("read.db"));
    file.connect().await
}

/// Into a file with the settings of a node's.
async fn into_sqlite(folder: &Path, rows: &[MessageRow]) -> anyhow::Result<f64> {
    let made: Vec<String> = sqlx::query_scalar(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'messages' AND sql IS NOT NULL ORDER BY type DESC",
    )
    .fetch_all(&mut live(folder).await?)
    .await?;
    let beside = tempfile::tempdir_in(folder)?;
    let mut connection = SqliteConnectOptions::new()
        .filename(beside.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-65536")
        .connect()
        .await?;
    for statement in made {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    let began = Instant::now();
    for rows in rows.chunks(AT_ONCE) {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let id = u128::from_be_bytes(row.conversation_id.as_slice().try_into()?);
                Ok((
                    format!("{id:032x}"),
                    row.ordinal,
                    &row.sender_id,
                    row.sender_seq,
                    &row.kind,
                    &row.content,
                    row.reply_to,
                    row.sent_at,
                    row.recorded_at,
                    row.version,
                ))
            })
            .collect::<anyhow::Result<_>>()?;
        sqlx::query(INTO_SQLITE)
            .bind(serde_json::to_string(&rows)?)
            .execute(&mut connection)
            .await?;
    }
    // Afterwards the file alone holds everything, as after a rebuild.
    connection.close().await?;
    Ok(began.elapsed().as_secs_f64())
}

async fn into_postgres(database: &Database, rows: &[MessageRow]) -> anyhow::Result<f64> {
    let (live, beside) = (quoted(&database.schema("read")), quoted(&database.schema("bare")));
    let mut connection = database.connect(&database.schema("bare"), PATIENCE).await?;
    let make = format!(
        "CREATE SCHEMA {beside}; CREATE TABLE {beside}.messages (LIKE {live}.messages INCLUDING ALL)"
    );
    sqlx::raw_sql(AssertSqlSafe(make))
        .execute(&mut connection)
        .await?;
    let began = Instant::now();
    for rows in rows.chunks(AT_ONCE) {
        fn column<'a, T>(rows: &'a [MessageRow], of: impl Fn(&'a MessageRow) -> T) -> Vec<T> {
            rows.iter().map(of).collect()
        }
        sqlx::query(INTO_POSTGRES)
            .bind(column(rows, |row| row.conversation_id.as_slice()))
            .bind(column(rows, |row| row.ordinal))
            .bind(column(rows, |row| row.sender_id.as_str()))
            .bind(column(rows, |row| row.sender_seq))
            .bind(column(rows, |row| row.kind.as_str()))
            .bind(column(rows, |row| row.content.as_deref()))
            .bind(column(rows, |row| row.reply_to))
            .bind(column(rows, |row| row.sent_at))
            .bind(column(rows, |row| row.recorded_at))
            .bind(column(rows, |row| row.version))
            .execute(&mut connection)
            .await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let drop = format!("DROP SCHEMA {beside} CASCADE");
    sqlx::raw_sql(AssertSqlSafe(drop))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(seconds)
}
