//! Keys in a SQLite file of their own, `keys.db`, fully synchronous.

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use domain::{TenantId, UserId};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{KeyId, KeyStore, KeysUnavailable, UserKey};

/// The keys of an embedded node.
#[derive(Clone, Debug)]
pub struct SqliteKeys {
    pool: SqlitePool,
}

impl SqliteKeys {
    /// Opens the file, and creates it when it is missing.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the file cannot be opened or is not a key file.
    pub async fn open(path: &Path) -> Result<Self, KeysUnavailable> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // A deleted key must not linger in free pages of the file.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(away)?;
        sqlx::migrate!("../migrations/sqlite/keys")
            .run(&pool)
            .await
            .map_err(|error| KeysUnavailable(error.to_string()))?;
        Ok(Self { pool })
    }
}

/// What `user_version` says of a file that was adopted for a log.
const ADOPTED: i64 = 1;

impl SqliteKeys {
    /// Whether the file was made just now and belongs to no log yet.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the file cannot be read.
    pub async fn are_new(&self) -> Result<bool, KeysUnavailable> {
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&self.pool)
            .await
            .map_err(away)?;
        let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM user_keys")
            .fetch_one(&self.pool)
            .await
            .map_err(away)?;
        Ok(version != ADOPTED && keys == 0)
    }

    /// Remembers that the file belongs to a log.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the file cannot be written.
    pub async fn adopt(&self) -> Result<(), KeysUnavailable> {
        sqlx::query("PRAGMA user_version = 1")
            .execute(&self.pool)
            .await
            .map_err(away)?;
        Ok(())
    }

    /// Closes the file, which holds everything afterwards and can be copied.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn away(error: sqlx::Error) -> KeysUnavailable {
    KeysUnavailable(error.to_string())
}

fn key_from(id: &str, secret: &[u8]) -> Result<UserKey, KeysUnavailable> {
    let damaged = || KeysUnavailable(format!("key {id} is damaged"));
    let secret = secret.try_into().map_err(|_| damaged())?;
    Ok(UserKey::new(id.parse().map_err(|_| damaged())?, secret))
}

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn current(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(away)?;
        let names = serde_json::to_string(users).map_err(|e| KeysUnavailable(e.to_string()))?;
        let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
            "SELECT user_id, key_id, secret FROM user_keys
             WHERE tenant_id = ?1 AND user_id IN (SELECT value FROM json_each(?2))",
        )
        .bind(tenant.as_str())
        .bind(names)
        .fetch_all(&mut *transaction)
        .await
        .map_err(away)?;
        let mut keys: HashMap<String, UserKey> = HashMap::with_capacity(users.len());
        for (user, id, secret) in rows {
            keys.insert(user, key_from(&id, &secret)?);
        }
        for user in users {
            if keys.contains_key(user.as_str()) {
                continue;
            }
            let key = UserKey::draw();
            sqlx::query("INSERT INTO user_keys (tenant_id, user_id, key_id, secret) VALUES (?1, ?2, ?3, ?4)")
                .bind(tenant.as_str())
                .bind(user.as_str())
                .bind(key.id.to_string())
                .bind(&key.secret()[..])
                .execute(&mut *transaction)
                .await
                .map_err(away)?;
            keys.insert(user.as_str().to_owned(), key);
        }
        transaction.commit().await.map_err(away)?;
        Ok(users
            .iter()
            .filter_map(|user| keys.get(user.as_str()).cloned())
            .collect())
    }

    async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        let names = serde_json::to_string(ids).map_err(|e| KeysUnavailable(e.to_string()))?;
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT key_id, secret FROM user_keys WHERE key_id IN (SELECT value FROM json_each(?1))",
        )
        .bind(names)
        .fetch_all(&self.pool)
        .await
        .map_err(away)?;
        rows.iter().map(|(id, secret)| key_from(id, secret)).collect()
    }
}
