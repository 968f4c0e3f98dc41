//! A generation is a schema. Making it, discarding one of another version, and putting the next one in the
//! live one's place by renaming.
//!
//! All of that happens under one advisory lock of the namespace, which belongs to a transaction: a node
//! that dies in the middle leaves nothing half done, and any number of nodes may start at once. The schemas
//! carry a comment by which they are recognised; one without it is not ours and is never dropped.

use std::time::Duration;

use eventstore::postgres::{Database, lock_transaction, migrate, quoted};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::OpenError;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres/read");

/// The comment on our schemas.
const OURS: &str = "a read model of Verbatim, made from the log";
/// How long one waits for what others hold locked.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);
/// What an old generation's tables are waited for at once: shorter than the server waits before it looks for
/// deadlocks, so that in a doubtful case it is the dropping that gives way, and not someone who reads.
const DROP_PATIENCE: Duration = Duration::from_millis(200);
const DROP_ATTEMPTS: usize = 50;

/// The names of a namespace's schemas.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) live: String,
    pub(super) next: String,
    /// What was live before a swap, until nobody reads it any more.
    pub(super) old: String,
    schemas_lock: String,
    pub(super) rebuild_lock: String,
}

impl Names {
    pub(super) fn of(database: &Database) -> Self {
        Self {
            live: database.schema("read"),
            next: database.schema("read_next"),
            old: database.schema("read_old"),
            schemas_lock: database.lock("read schemas"),
            rebuild_lock: database.lock("read rebuild"),
        }
    }

    /// Takes the lock of the schemas until the transaction ends.
    pub(super) async fn lock(&self, transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
        wait_at_most(transaction, LOCK_TIMEOUT).await?;
        lock_transaction(transaction, &self.schemas_lock).await
    }

    /// Makes sure that the live schema is there and of this version.
    pub(super) async fn open(&self, connection: &mut PgConnection) -> Result<(), OpenError> {
        let mut transaction = connection.begin().await?;
        self.lock(&mut transaction).await?;
        match state_of(&mut transaction, &self.live).await? {
            State::Current => {}
            State::Missing => make(&mut transaction, &self.live).await?,
            State::Foreign => return Err(OpenError::Foreign(self.live.clone())),
            State::Other => {
                tracing::warn!(
                    schema = self.live,
                    "discarding the read model of another version; it is rebuilt from the log"
                );
                drop_schema(&mut transaction, &self.live).await?;
                make(&mut transaction, &self.live).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// Makes an empty next generation, and deletes what an interrupted rebuild left.
    pub(super) async fn make_next(&self, connection: &mut PgConnection) -> Result<(), OpenError> {
        let mut transaction = connection.begin().await?;
        self.lock(&mut transaction).await?;
        for left in [&self.old, &self.next] {
            match state_of(&mut transaction, left).await? {
                State::Missing => {}
                State::Foreign => return Err(OpenError::Foreign(left.clone())),
                State::Current | State::Other => drop_schema(&mut transaction, left).await?,
            }
        }
        make(&mut transaction, &self.next).await?;
        Ok(transaction.commit().await?)
    }

    /// Deletes the next generation.
    pub(super) async fn drop_next(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        self.lock(&mut transaction).await?;
        drop_schema(&mut transaction, &self.next).await?;
        transaction.commit().await
    }

    /// Puts the next generation in the live one's place, within a transaction that holds the lock.
    pub(super) async fn promote(&self, transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
        for (from, to) in [(&self.live, &self.old), (&self.next, &self.live)] {
            let rename = format!("ALTER SCHEMA {} RENAME TO {}", quoted(from), quoted(to));
            execute(transaction, rename).await?;
        }
        Ok(())
    }

    /// Drops what was swapped away. Whoever began to read it before the swap reads it to the end; nobody
    /// begins any more. Whatever remains is dropped by the next rebuild.
    pub(super) async fn drop_old(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut attempts = DROP_ATTEMPTS;
        loop {
            let mut transaction = connection.begin().await?;
            wait_at_most(&mut transaction, DROP_PATIENCE).await?;
            attempts -= 1;
            match drop_schema(&mut transaction, &self.old).await {
                Ok(()) => return transaction.commit().await,
                Err(error) if attempts == 0 || !super::is_lock_timeout(&error) => return Err(error),
                Err(_) => transaction.rollback().await?,
            }
        }
    }
}

enum State {
    Missing,
    Current,
    /// Ours, but made by other migrations: what a migration adds or changes can only be filled from the log.
    Other,
    /// Made by someone else.
    Foreign,
}

async fn state_of(transaction: &mut PgConnection, schema: &str) -> Result<State, sqlx::Error> {
    let found: Option<(Option<String>, bool)> = sqlx::query_as(
        "SELECT obj_description(n.oid, 'pg_namespace'),
                EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relname = '_sqlx_migrations')
         FROM pg_namespace AS n WHERE n.nspname = $1",
    )
    .bind(schema)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((comment, has_migrations)) = found else {
        return Ok(State::Missing);
    };
    if comment.as_deref() != Some(OURS) {
        return Ok(State::Foreign);
    }
    if !has_migrations {
        return Ok(State::Other);
    }
    let select = format!(
        "SELECT version, checksum, success FROM {}._sqlx_migrations ORDER BY version",
        quoted(schema)
    );
    let applied: Vec<(i64, Vec<u8>, bool)> = sqlx::query_as(AssertSqlSafe(select))
        .fetch_all(transaction)
        .await?;
    let current = MIGRATOR
        .iter()
        .map(|migration| (migration.version, &*migration.checksum, true));
    let is_current = applied
        .iter()
        .map(|(version, sum, success)| (*version, sum.as_slice(), *success))
        .eq(current);
    Ok(if is_current { State::Current } else { State::Other })
}

/// Makes an empty generation.
async fn make(transaction: &mut PgConnection, schema: &str) -> Result<(), OpenError> {
    let migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    migrate(transaction, schema, migrator).await?;
    let comment = format!("COMMENT ON SCHEMA {} IS '{OURS}'", quoted(schema));
    Ok(execute(transaction, comment).await?)
}

async fn drop_schema(transaction: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(schema));
    execute(transaction, drop).await
}

/// Bounds the waiting for locks in this transaction.
async fn wait_at_most(transaction: &mut PgConnection, time: Duration) -> Result<(), sqlx::Error> {
    execute(
        transaction,
        format!("SET LOCAL lock_timeout = {}", time.as_millis()),
    )
    .await
}

pub(super) async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}
