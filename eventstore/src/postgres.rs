//! Postgres as every store here connects to it: one database, whose schemas carry a namespace.
//!
//! A store keeps its tables in a schema of its own and pins the search path to it, so no statement names a
//! schema. Names are always quoted. Nodes that start at the same time take turns by an advisory lock that
//! belongs to the namespace alone.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

/// The longest namespace.
const MAX_NAMESPACE: usize = 32;
/// How long a connection may take to be had: a database that is away is noticed after so long.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that nobody used for so long is asked whether it still answers before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Why a database cannot be connected to at all, whatever its state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The namespace cannot be part of a schema's name.
    #[error("the namespace {0:?} is not 1 to {MAX_NAMESPACE} letters, digits, _ and -")]
    Namespace(String),
    /// The address is none of a Postgres database. It may hold a password and is not repeated.
    #[error("the address of the database is not a postgres:// URL: {0}")]
    Url(String),
}

/// A database and the namespace of the schemas in it.
#[derive(Clone)]
pub struct Database {
    options: PgConnectOptions,
    namespace: String,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("host", &self.options.get_host())
            .field("database", &self.options.get_database())
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// The database at this URL; TLS is configured in it (`sslmode`, `sslrootcert`).
    ///
    /// # Errors
    /// [`ConfigError`] when the URL or the namespace is none.
    pub fn parse(url: &str, namespace: &str) -> Result<Self, ConfigError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !(1..=MAX_NAMESPACE).contains(&namespace.len()) || !namespace.chars().all(plain) {
            return Err(ConfigError::Namespace(namespace.to_owned()));
        }
        let is_postgres = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        if !is_postgres {
            return Err(ConfigError::Url("it begins with another scheme".to_owned()));
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| ConfigError::Url(error.to_string()))?;
        Ok(Self {
            options: options.application_name("verbatim"),
            namespace: namespace.to_owned(),
        })
    }

    /// The schema of this part of the namespace, as it is named, not quoted.
    #[must_use]
    pub fn schema(&self, part: &str) -> String {
        format!("{}_{part}", self.namespace)
    }

    /// The name of an advisory lock of this namespace.
    #[must_use]
    pub fn lock(&self, purpose: &str) -> String {
        format!("verbatim {purpose} {}", self.namespace)
    }

    /// How to connect with the search path pinned to the schema. The server gives up a statement after the
    /// time-out, and notices within half a minute that this host is gone, with whatever it held locked.
    #[must_use]
    pub fn options(&self, schema: &str, statement_timeout: Duration) -> PgConnectOptions {
        let timeout = statement_timeout.as_millis().to_string();
        self.options.clone().options([
            ("search_path", &*quoted(schema)),
            ("statement_timeout", &timeout),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            // Compiling pays for long scans, of which there are none.
            ("jit", "off"),
        ])
    }

    /// One connection beside the pools.
    ///
    /// # Errors
    /// [`sqlx::Error`] when it cannot be had soon.
    pub async fn connect(
        &self,
        schema: &str,
        statement_timeout: Duration,
    ) -> Result<PgConnection, sqlx::Error> {
        let options = self.options(schema, statement_timeout);
        let connecting = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            require_durability(&mut connection).await?;
            Ok(connection)
        };
        tokio::time::timeout(ACQUIRE_TIMEOUT, connecting)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// A pool of connections that are made when they are needed.
    #[must_use]
    pub fn pool(&self, schema: &str, connections: u32, statement_timeout: Duration) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(|connection, _| Box::pin(require_durability(connection)))
            .connect_lazy_with(self.options(schema, statement_timeout))
    }
}

/// What was answered must outlive a crash of the server: a server that is told not to sync is told otherwise
/// for this connection. What a server does beyond (waiting for replicas) stays as it is.
async fn require_durability(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') = 'off'",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A name as an SQL identifier.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Takes an advisory lock until the transaction ends.
///
/// # Errors
/// [`sqlx::Error`] when the database is away or the lock is not to be had within the time-outs.
pub async fn lock_transaction(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(name)
        .execute(connection)
        .await?;
    Ok(())
}

/// Runs the migrations that the schema does not have yet, and makes the schema when it is missing. To be
/// called within a transaction that holds the lock of the schemas.
///
/// # Errors
/// [`MigrateError`] when the schema was made by other migrations, or the database is away.
pub async fn migrate(
    connection: &mut PgConnection,
    schema: &str,
    mut migrator: Migrator,
) -> Result<(), MigrateError> {
    let create = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema));
    sqlx::raw_sql(sqlx::AssertSqlSafe(create))
        .execute(&mut *connection)
        .await?;
    sqlx::query("SELECT set_config('search_path', $1, true)")
        .bind(quoted(schema))
        .execute(&mut *connection)
        .await?;
    // The migrator's own lock is one for the whole database; ours is held already.
    migrator.set_locking(false);
    migrator.run_direct(None, connection, false).await
}

/// Whether the same would fail again: the database was given what it cannot hold (classes 22 and 23), is not
/// made as it should be (42), is corrupted (XX), or its rows cannot be read.
#[must_use]
pub fn is_damage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["22", "23", "42", "XX"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_plain_and_short() {
        for good in ["a", "Verbatim-2_x", &"x".repeat(32)] {
            let database = Database::parse("postgres://u:secret@h/d", good).unwrap();
            assert!(!format!("{database:?}").contains("secret"));
            assert!(database.schema("read_next").len() < 64);
        }
        for bad in ["", "a.b", "a\"b", "a b", "đ", &"x".repeat(33)] {
            assert!(matches!(
                Database::parse("postgres://h/d", bad),
                Err(ConfigError::Namespace(_))
            ));
        }
        for bad in ["", "mysql://h/d", "postgres//h", "postgres://h:port/d"] {
            assert!(
                matches!(Database::parse(bad, "a"), Err(ConfigError::Url(_))),
                "{bad}"
            );
        }
    }
}
