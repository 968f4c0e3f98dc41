//! Keys in Postgres, for all nodes of a cluster, wrapped under a master key that the database never sees.
//!
//! Whoever gets hold of the database, or of a backup of it, has noise. A wrapped key is bound to its tenant,
//! user and name, so that it cannot be put in another's place.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::{TenantId, UserId};
use sqlx::migrate::MigrateError;
use sqlx::{Connection, PgConnection, PgPool};

use super::{Cipher, KeyId, KeyStore, KeysUnavailable, UserKey};
use crate::postgres::{ConfigError, Database, lock_transaction, migrate, reason};

/// How long the server may work on one question, and how long its answer may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The same while the keys are opened, which may wait for another node that does so.
const OPEN_STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a key is drawn again that was deleted just as it was made.
const ATTEMPTS: usize = 3;
/// The code of an error about a table that does not exist.
const NO_TABLE: &str = "42P01";
/// What is sealed to recognise the master key by.
const KNOWN: &[u8] = b"verbatim";

/// Why the keys could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such database or namespace.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database is away, or refuses.
    #[error(transparent)]
    Unavailable(#[from] KeysUnavailable),
    /// The keys are wrapped under another master key.
    #[error("the master key is not the one that the keys in this database are wrapped under")]
    WrongMasterKey,
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(away(error))
    }
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        Self::Unavailable(KeysUnavailable(error.to_string()))
    }
}

/// The metadata that says that the keys belong to a log.
const ADOPTED: &str = "adopted";

/// The keys of a cluster.
#[derive(Clone)]
pub struct PostgresKeys {
    pool: PgPool,
    master: Cipher,
    are_lost: Arc<AtomicBool>,
}

impl std::fmt::Debug for PostgresKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresKeys").finish_non_exhaustive()
    }
}

impl PostgresKeys {
    /// Whether there are keys that belong to a log. Makes nothing: keys that were lost are still missing
    /// when one asks again.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn exist(url: &str, namespace: &str) -> Result<bool, OpenError> {
        let database = Database::parse(url, namespace)?;
        let schema = database.schema("keys");
        let asking = async {
            let mut connection = database.connect(&schema, OPEN_STATEMENT_TIMEOUT).await?;
            let are_made: bool = sqlx::query_scalar(
                "SELECT to_regclass('metadata') IS NOT NULL AND to_regclass('user_keys') IS NOT NULL",
            )
            .fetch_one(&mut connection)
            .await?;
            let exist = are_made
                && sqlx::query_scalar(
                    "SELECT EXISTS (SELECT FROM metadata WHERE name = $1) OR EXISTS (SELECT FROM user_keys)",
                )
                .bind(ADOPTED)
                .fetch_one(&mut connection)
                .await?;
            connection.close().await?;
            Ok(exist)
        };
        tokio::time::timeout(OPEN_TIMEOUT, asking)
            .await
            .map_err(|_| silent())?
    }

    /// Opens the keys in the schema `{namespace}_keys` of the database at this URL, and makes the schema when
    /// it is missing. The first who opens it decides which master key it is under.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        url: &str,
        namespace: &str,
        master: &[u8; 32],
        connections: u32,
    ) -> Result<Self, OpenError> {
        let database = Database::parse(url, namespace)?;
        let schema = database.schema("keys");
        let master = Cipher::new(master);
        let opening = async {
            let mut connection = database.connect(&schema, OPEN_STATEMENT_TIMEOUT).await?;
            let mut transaction = connection.begin().await?;
            lock_transaction(&mut transaction, &database.lock("keys schema")).await?;
            let migrator = sqlx::migrate!("../migrations/postgres/keys");
            migrate(&mut transaction, &schema, migrator).await?;
            recognise(&mut transaction, &master).await?;
            transaction.commit().await?;
            connection.close().await?;
            Ok::<_, OpenError>(())
        };
        tokio::time::timeout(OPEN_TIMEOUT, opening)
            .await
            .map_err(|_| silent())??;
        Ok(Self {
            pool: database.pool(&schema, connections, STATEMENT_TIMEOUT),
            master,
            are_lost: Arc::default(),
        })
    }

    /// Remembers that they belong to a log.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the database is away.
    pub async fn adopt(&self) -> Result<(), KeysUnavailable> {
        sqlx::query("INSERT INTO metadata (name, value) VALUES ($1, '') ON CONFLICT DO NOTHING")
            .bind(ADOPTED)
            .execute(&self.pool)
            .await
            .map_err(away)?;
        Ok(())
    }

    /// What an answer of the database says of the keys.
    fn heard<T>(&self, answer: Result<T, sqlx::Error>) -> Result<T, KeysUnavailable> {
        let is_no_table = |error: &sqlx::Error| {
            let code = error.as_database_error().and_then(|error| error.code());
            code.is_some_and(|code| code == NO_TABLE)
        };
        match &answer {
            Ok(_) => self.are_lost.store(false, Ordering::Relaxed),
            Err(error) if is_no_table(error) && !self.are_lost.swap(true, Ordering::Relaxed) => {
                tracing::error!("the keys are lost: their table is not there; restore it from its backup");
            }
            Err(_) => {}
        }
        answer.map_err(away)
    }

    /// Closes the connections: what is asked afterwards is answered as unavailable.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn existing(
        &self,
        tenant: &TenantId,
        users: &BTreeSet<&str>,
    ) -> Result<HashMap<String, UserKey>, KeysUnavailable> {
        let users: Vec<_> = users.iter().copied().collect();
        let rows = sqlx::query_as(
            "SELECT user_id, key_id, wrapped FROM user_keys WHERE tenant_id = $1 AND user_id = ANY ($2)",
        )
        .bind(tenant.as_str())
        .bind(users)
        .fetch_all(&self.pool)
        .await;
        let rows: Vec<(String, String, Vec<u8>)> = self.heard(rows)?;
        let mut keys = HashMap::with_capacity(rows.len());
        for (user, id, wrapped) in rows {
            let key = self.unwrap_key(tenant.as_str(), &user, &id, &wrapped)?;
            keys.insert(user, key);
        }
        Ok(keys)
    }

    /// Draws keys for these users. One that another node draws at the same moment stays.
    async fn draw(&self, tenant: &TenantId, users: &BTreeSet<&str>) -> Result<(), KeysUnavailable> {
        let mut columns: (Vec<&str>, Vec<String>, Vec<Vec<u8>>) = Default::default();
        // In order, so that nodes that draw for the same users wait for each other and not in a circle.
        for user in users {
            let key = UserKey::draw();
            let id = key.id.to_string();
            columns.2.push(
                self.master
                    .seal(key.secret(), &bound_to(tenant.as_str(), user, &id)),
            );
            columns.0.push(user);
            columns.1.push(id);
        }
        let drawn = sqlx::query(
            "INSERT INTO user_keys (tenant_id, user_id, key_id, wrapped)
             SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bytea[])
             ON CONFLICT (tenant_id, user_id) DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(columns.0)
        .bind(columns.1)
        .bind(columns.2)
        .execute(&self.pool)
        .await;
        self.heard(drawn)?;
        Ok(())
    }

    fn unwrap_key(
        &self,
        tenant: &str,
        user: &str,
        id: &str,
        wrapped: &[u8],
    ) -> Result<UserKey, KeysUnavailable> {
        let damaged = || KeysUnavailable(format!("key {id} does not open under the master key"));
        let secret = self
            .master
            .open(wrapped, &bound_to(tenant, user, id))
            .ok_or_else(damaged)?;
        let secret = secret.try_into().map_err(|_| damaged())?;
        Ok(UserKey::new(id.parse().map_err(|_| damaged())?, secret))
    }
}

#[async_trait]
impl KeyStore for PostgresKeys {
    async fn current(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        let asking = async {
            let mut missing: BTreeSet<&str> = users.iter().map(UserId::as_str).collect();
            let mut keys = self.existing(tenant, &missing).await?;
            for _ in 0..ATTEMPTS {
                missing.retain(|user| !keys.contains_key(*user));
                if missing.is_empty() {
                    break;
                }
                self.draw(tenant, &missing).await?;
                keys.extend(self.existing(tenant, &missing).await?);
            }
            let key = |user: &UserId| keys.get(user.as_str()).cloned();
            users
                .iter()
                .map(key)
                .collect::<Option<_>>()
                .ok_or_else(|| KeysUnavailable("a key is deleted as often as it is drawn".to_owned()))
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asking)
            .await
            .unwrap_or_else(|_| Err(silent()))
    }

    async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        let ids: Vec<_> = ids.iter().map(KeyId::to_string).collect();
        let asking = sqlx::query_as(
            "SELECT tenant_id, user_id, key_id, wrapped FROM user_keys WHERE key_id = ANY ($1)",
        )
        .bind(ids)
        .fetch_all(&self.pool);
        let rows = tokio::time::timeout(ANSWER_TIMEOUT, asking)
            .await
            .map_err(|_| silent())?;
        let rows: Vec<(String, String, String, Vec<u8>)> = self.heard(rows)?;
        rows.iter()
            .map(|(tenant, user, id, wrapped)| self.unwrap_key(tenant, user, id, wrapped))
            .collect()
    }

    fn are_lost(&self) -> bool {
        self.are_lost.load(Ordering::Relaxed)
    }
}

/// Makes sure that the keys are under this master key.
async fn recognise(connection: &mut PgConnection, master: &Cipher) -> Result<(), OpenError> {
    const NAME: &str = "master";
    sqlx::query("INSERT INTO metadata (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(NAME)
        .bind(master.seal(KNOWN, NAME.as_bytes()))
        .execute(&mut *connection)
        .await?;
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT value FROM metadata WHERE name = $1")
        .bind(NAME)
        .fetch_one(connection)
        .await?;
    match master.open(&sealed, NAME.as_bytes()) {
        Some(known) if known == KNOWN => Ok(()),
        _ => Err(OpenError::WrongMasterKey),
    }
}

/// Tenant, user and name of a key, each after its length, so that no two triples are the same bytes.
fn bound_to(tenant: &str, user: &str, id: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tenant.len() + user.len() + id.len() + 24);
    for part in [tenant, user, id] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn away(error: sqlx::Error) -> KeysUnavailable {
    KeysUnavailable(reason(&error))
}

fn silent() -> KeysUnavailable {
    KeysUnavailable("the database does not answer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::postgres::{PostgresServer, fresh_namespace};

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    #[tokio::test]
    async fn keys_are_wrapped_and_cannot_be_moved() {
        let (url, namespace) = (PostgresServer::shared().await.url(), fresh_namespace());
        let keys = PostgresKeys::open(&url, &namespace, &[1; 32], 2).await.unwrap();
        let tenant = TenantId::parse("t").unwrap();
        let drawn = keys.current(&tenant, &[user("ann"), user("bob")]).await.unwrap();
        let wrapped: Vec<Vec<u8>> = sqlx::query_scalar("SELECT wrapped FROM user_keys")
            .fetch_all(&keys.pool)
            .await
            .unwrap();
        for key in &drawn {
            let is_plain = |wrapped: &Vec<u8>| wrapped.windows(32).any(|bytes| bytes == key.secret());
            assert!(!wrapped.iter().any(is_plain));
        }
        let error = PostgresKeys::open(&url, &namespace, &[2; 32], 2)
            .await
            .unwrap_err();
        assert!(matches!(error, OpenError::WrongMasterKey), "{error}");
        sqlx::query("UPDATE user_keys SET wrapped = (SELECT wrapped FROM user_keys WHERE user_id = 'bob')")
            .execute(&keys.pool)
            .await
            .unwrap();
        assert!(keys.find(&[drawn[1].id]).await.is_ok());
        assert!(keys.find(&[drawn[0].id]).await.is_err());
        assert!(keys.current(&tenant, &[user("ann")]).await.is_err());
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_is_away() {
        let error = PostgresKeys::open("postgres://u@127.0.0.1:1/d", "a", &[1; 32], 1)
            .await
            .unwrap_err();
        assert!(matches!(error, OpenError::Unavailable(_)), "{error}");
        let error = PostgresKeys::open("postgres://h/d", "a.b", &[1; 32], 1)
            .await
            .unwrap_err();
        assert!(matches!(error, OpenError::Config(_)), "{error}");
    }
}
