//! What goes out of an embedded node, in a SQLite file of its own, `effects.db`.
//!
//! The file needs no lock on the data folder: beside the node that has the folder, a command may list and replay
//! dead letters in short transactions.

use std::path::Path;
use std::time::Duration;

use domain::Timestamp;
use eventstore::Checkpoint;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::rows::{self, integer};
use super::{
    DeadLetter, Delivery, EffectStore, Figures, Notice, Planned, StoreUnavailable, TakeInError, Way, Which,
};

/// How long another process may write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What goes out of an embedded node.
#[derive(Clone, Debug)]
pub struct SqliteEffects {
    pool: SqlitePool,
}

impl SqliteEffects {
    /// Opens the file, and creates it when it is missing.
    ///
    /// # Errors
    /// [`StoreUnavailable`] when the file cannot be opened or is something else.
    pub async fn open(path: &Path) -> Result<Self, StoreUnavailable> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // After a crash of the machine the newest transactions may be missing, the checkpoint's among them:
            // then something is sent once more, with the same id.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = within(SqlitePoolOptions::new().max_connections(1).connect_with(options)).await?;
        sqlx::migrate!("../migrations/sqlite/effects")
            .run(&pool)
            .await
            .map_err(|error| StoreUnavailable(error.to_string()))?;
        Ok(Self { pool })
    }
}

async fn within<T>(asking: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreUnavailable> {
    asking.await.map_err(|error| StoreUnavailable(error.to_string()))
}

effect_store!(
    SqliteEffects,
    "BEGIN IMMEDIATE",
    "UPDATE deliveries SET attempts = attempts + 1, due_at = $4, claimed_by = $5
     WHERE id IN (
         SELECT id FROM deliveries WHERE target = $1 AND died_at IS NULL AND due_at <= $2
         ORDER BY due_at LIMIT $3
     )
     RETURNING id, shard, tenant_id, conversation_id, ordinal, recorded_at, target, recipients, subscription_id,
         attempts, replayed, died_at, reason"
);
