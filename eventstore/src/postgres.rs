//! Postgres as every store here connects to it: one database, whose schemas carry a namespace.
//!
//! A store keeps its tables in a schema of its own and pins the search path to it, so no statement names a
//! schema. Names are always quoted. Nodes that start at the same time take turns by an advisory lock that
//! belongs to the namespace alone.

use std::fmt;
use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use futures::future::join_all;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use crate::namespace::{Namespace, NamespaceError};

/// The oldest server.
const OLDEST_SERVER: i32 = 14;
/// How long a connection may take to be had: a database that is away is noticed after so long.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How many connections a pool is to have from the start, and how long a start waits for them.
const WARM_CONNECTIONS: u32 = 3;
const WARM_PATIENCE: Duration = Duration::from_millis(500);
/// How long the examination of a database may take.
const EXAMINATION: Duration = Duration::from_secs(5);
/// A connection that nobody used for so long is asked whether it still answers before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Why a database cannot be connected to at all, whatever its state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The namespace is none.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The address is none of a Postgres database. It may hold a password and is not repeated.
    #[error("the address of the database is no URL such as postgres://user:password@host/database: {0}")]
    Url(String),
}

/// What a URL may say beside who connects to what. Whatever else it says would be ignored, and a `sslmode`
/// that was misspelt would be TLS that nobody asked for.
const PARAMETERS: [&str; 16] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
];

/// Why a database that there is cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no connection.
    #[error("no connection to Postgres at {place}: {reason}")]
    Unreachable {
        /// Where it should be.
        place: String,
        /// Why there is none.
        reason: String,
    },
    /// It is too old.
    #[error("Postgres at {place} is version {version}, and {OLDEST_SERVER} or newer is needed")]
    TooOld {
        /// Where it is.
        place: String,
        /// Its version.
        version: String,
    },
    /// A schema of the namespace was made by somebody else, and is left alone.
    #[error(
        "the schema {schema:?} in Postgres at {place} holds tables of something else: choose another namespace, or \
         drop it"
    )]
    Foreign {
        /// Where it is.
        place: String,
        /// The schema.
        schema: String,
    },
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
        let namespace = namespace.parse::<Namespace>()?;
        Ok(Self {
            options: parse_url(url)?.application_name("verbatim"),
            namespace: namespace.to_string(),
        })
    }

    /// Host, port and database, as people are told of it.
    #[must_use]
    pub fn place(&self) -> String {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        let database = self.options.get_database().unwrap_or(self.options.get_username());
        match self.options.get_socket() {
            Some(socket) => format!("{}, database {database:?}", socket.display()),
            None => format!("{host}:{port}, database {database:?}"),
        }
    }

    /// Finds out whether the database can be used before anything is made in it.
    ///
    /// # Errors
    /// [`Unusable`] within seconds.
    pub async fn examine(&self) -> Result<(), Unusable> {
        let schema = self.schema("keys");
        let examining = async {
            let mut connection = self.connect(&schema, EXAMINATION).await?;
            let version: (i32, String) = sqlx::query_as(
                "SELECT current_setting('server_version_num')::int4, current_setting('server_version')",
            )
            .fetch_one(&mut connection)
            .await?;
            let is_foreign: bool = sqlx::query_scalar(
                "SELECT count(*) > 0 AND count(*) FILTER (WHERE relname = '_sqlx_migrations') = 0
                 FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)",
            )
            .bind(&schema)
            .fetch_one(&mut connection)
            .await?;
            let _ = connection.close().await;
            Ok((version, is_foreign))
        };
        let place = self.place();
        let examined = tokio::time::timeout(EXAMINATION, examining).await;
        match examined.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(((number, version), _)) if number / 10_000 < OLDEST_SERVER => {
                Err(Unusable::TooOld { place, version })
            }
            Ok((_, true)) => Err(Unusable::Foreign { place, schema }),
            Ok(_) => Ok(()),
            Err(error) => Err(Unusable::Unreachable {
                place,
                reason: reason(&error),
            }),
        }
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

/// Opens a few connections of a pool, so that the first who ask need not wait for that: it takes longer than
/// most questions. What cannot be opened now is opened when it is needed.
pub async fn warm(pool: &PgPool) {
    let connections = pool.options().get_max_connections().min(WARM_CONNECTIONS);
    // All at once: one that is given back would be the next one too.
    let opened = join_all((0..connections).map(|_| pool.acquire()));
    if tokio::time::timeout(WARM_PATIENCE, opened).await.is_err() {
        tracing::debug!("the database is slow to accept connections");
    }
}

/// Whether a text is the URL of a Postgres database, and how one connects to that.
///
/// # Errors
/// [`ConfigError::Url`] when it is none.
pub fn parse_url(url: &str) -> Result<PgConnectOptions, ConfigError> {
    let wrong = |reason: &str| Err(ConfigError::Url(reason.to_owned()));
    if url.is_empty() {
        return wrong("it is empty");
    }
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    if !is_postgres {
        return wrong("it begins with another scheme");
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    // What follows in the wrong place may be the rest of a password.
    if url.contains('#') || query.contains('@') {
        return wrong("in a user or password, / ? # and @ are written as %2F %3F %23 and %40");
    }
    let names = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or_default());
    for name in names.filter(|name| !name.is_empty()) {
        if !PARAMETERS.contains(&name) {
            return wrong(&format!("it has a parameter {name:?}, which means nothing here"));
        }
    }
    PgConnectOptions::from_str(url).map_err(|error| ConfigError::Url(reason(&error)))
}

/// What a person can do something about: neither where it was noticed in a driver's or server's source, nor
/// what every such error begins with.
#[must_use]
pub fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => format!("the server says: {}", error.message()),
        sqlx::Error::Configuration(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!("TLS failed: {error}"),
        // A certificate that is not trusted comes as what a socket read: data that is not valid.
        sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => format!("TLS failed: {error}"),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no answer in time".to_owned(),
        error => error.to_string(),
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
    fn a_schema_is_named_with_a_namespace() {
        for good in ["a", "Verbatim-2_x", &"x".repeat(32)] {
            let database = Database::parse("postgres://u:secret@h/d", good).unwrap();
            assert!(!format!("{database:?}").contains("secret"));
            assert!(database.schema("read_next").len() < 64);
        }
        assert!(matches!(
            Database::parse("postgres://h/d", "a.b"),
            Err(ConfigError::Namespace(_))
        ));
    }

    #[test]
    fn a_url_says_nothing_that_would_be_ignored() {
        for good in [
            "postgres://u:p%23@h:1/d?sslmode=verify-full&sslrootcert=/ca.pem",
            "postgresql:///d?host=/run/postgresql",
        ] {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "mysql://h/d",
            "postgres//h",
            "postgres://h:port/d",
            "postgres://u:secret@h/d?sslmode=verify",
            "postgres://u:secret@h/d?sslmod=verify-full",
            "postgres://u:1#secret@h/d",
            "postgres://u:1?secret@h/d",
            "postgres://u:sec/ret@h/d?secret",
        ] {
            let error = parse_url(bad).expect_err(bad).to_string();
            assert!(
                error.contains("postgres://user:password@host/database: "),
                "{error}"
            );
            assert!(!error.contains("secret@"), "{error}");
        }
    }

    #[test]
    fn a_place_is_told_without_who_connects() {
        let place = |url| Database::parse(url, "a").unwrap().place();
        assert_eq!(place("postgres://u:secret@h/d"), "h:5432, database \"d\"");
        assert_eq!(place("postgres://u@h:1"), "h:1, database \"u\"");
    }
}
