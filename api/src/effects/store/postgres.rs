//! What goes out of a cluster, in a schema of its own in Postgres, for all nodes.

use std::time::Duration;

use domain::Timestamp;
use eventstore::Checkpoint;
use eventstore::postgres::{Database, lock_transaction, migrate, reason};
use sqlx::{Connection, PgPool};

use super::rows::{self, integer};
use super::{
    DeadLetter, Delivery, EffectStore, Figures, Notice, Planned, StoreUnavailable, TakeInError, Way, Which,
};

/// How long the server may work on one question, and how long its answer may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What goes out of a cluster.
#[derive(Clone, Debug)]
pub struct PostgresEffects {
    pool: PgPool,
}

impl PostgresEffects {
    /// Opens the schema `{namespace}_effects` of the database at this URL, and makes it when it is missing.
    ///
    /// # Errors
    /// [`StoreUnavailable`] when the database is away or refuses.
    pub async fn open(url: &str, namespace: &str, connections: u32) -> Result<Self, StoreUnavailable> {
        let away = |error: String| StoreUnavailable(error);
        let database = Database::parse(url, namespace).map_err(|error| away(error.to_string()))?;
        let schema = database.schema("effects");
        let opening = async {
            let mut connection = database.connect(&schema, STATEMENT_TIMEOUT).await?;
            let mut transaction = connection.begin().await?;
            lock_transaction(&mut transaction, &database.lock("effects schema")).await?;
            let migrator = sqlx::migrate!("../migrations/postgres/effects");
            migrate(&mut transaction, &schema, migrator)
                .await
                .map_err(|error| sqlx::Error::Configuration(error.into()))?;
            transaction.commit().await?;
            connection.close().await
        };
        within(opening).await?;
        Ok(Self {
            pool: database.pool(&schema, connections, STATEMENT_TIMEOUT),
        })
    }
}

async fn within<T>(asking: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreUnavailable> {
    match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
        Ok(answer) => answer.map_err(|error| StoreUnavailable(reason(&error))),
        Err(_) => Err(StoreUnavailable("the database does not answer".to_owned())),
    }
}

effect_store!(
    PostgresEffects,
    "BEGIN",
    "UPDATE deliveries SET attempts = attempts + 1, due_at = $4, claimed_by = $5
     WHERE id IN (
         SELECT id FROM deliveries WHERE target = $1 AND died_at IS NULL AND due_at <= $2
         ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
     )
     RETURNING id, shard, tenant_id, conversation_id, ordinal, recorded_at, target, recipients, subscription_id,
         attempts, replayed, died_at, reason"
);
