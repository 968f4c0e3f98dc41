//! A rebuild of the Postgres store: the next generation is a schema beside the live one.
//!
//! The connection of a rebuild holds the lock that lets there be one at a time, on all nodes. When the node
//! dies, its connection ends, and with it the lock and whatever was not committed: the live generation goes
//! on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eventstore::consumer::Checkpoint;
use sqlx::{Connection, PgConnection};
use tokio::sync::OwnedMutexGuard;

use super::generation::{Names, execute};
use super::{PostgresReadModel, is_lock_timeout, store_error, write};
use crate::rebuild::{Generations, NextGeneration};
use crate::store::{ProjectionStore, StoreError};

/// How long a rebuild waits for the one before, whose connection may have ended just now.
const TURN: Duration = Duration::from_secs(2);
/// A frozen generation is held for as long as the last commits take: nothing else runs on this connection.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
const NEXT_CONNECTIONS: u32 = 2;

/// The generation that is being filled.
struct Next {
    names: Names,
    next: PostgresReadModel,
    /// Holds the lock of rebuilds; `is_frozen` when it is in the transaction that holds the live one still.
    connection: PgConnection,
    is_frozen: bool,
    _rebuilding: OwnedMutexGuard<()>,
}

#[async_trait]
impl Generations for PostgresReadModel {
    async fn begin(&self) -> Result<Box<dyn NextGeneration>, StoreError> {
        let rebuilding = Arc::clone(&self.rebuilding)
            .try_lock_owned()
            .map_err(|_| running_already())?;
        let names = Names::of(&self.database);
        let mut connection = self
            .database
            .connect(&names.live, STATEMENT_TIMEOUT)
            .await
            .map_err(store_error)?;
        execute(
            &mut connection,
            format!("SET lock_timeout = {}", TURN.as_millis()),
        )
        .await
        .map_err(store_error)?;
        sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
            .bind(&names.rebuild_lock)
            .execute(&mut connection)
            .await
            .map_err(|error| {
                if is_lock_timeout(&error) {
                    running_already()
                } else {
                    store_error(error)
                }
            })?;
        names.make_next(&mut connection).await?;
        let next = Self::over(self.database.clone(), &names.next, (1, NEXT_CONNECTIONS));
        Ok(Box::new(Next {
            names,
            next,
            connection,
            is_frozen: false,
            _rebuilding: rebuilding,
        }))
    }
}

async fn analyze(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql("ANALYZE conversations, members, messages, read_moves, users, commands")
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

fn running_already() -> StoreError {
    StoreError::Unavailable("a rebuild is running already".to_owned())
}

impl Next {
    /// Holds the live generation still: whoever reads or applies locks its checkpoints first.
    async fn hold(&mut self) -> Result<(), sqlx::Error> {
        if self.is_frozen {
            return Ok(());
        }
        execute(&mut self.connection, "BEGIN".to_owned()).await?;
        self.is_frozen = true;
        self.names.lock(&mut self.connection).await?;
        execute(
            &mut self.connection,
            "LOCK TABLE checkpoints IN ACCESS EXCLUSIVE MODE".to_owned(),
        )
        .await
    }

    async fn release(&mut self) -> Result<(), sqlx::Error> {
        if std::mem::take(&mut self.is_frozen) {
            execute(&mut self.connection, "ROLLBACK".to_owned()).await?;
        }
        Ok(())
    }

    async fn promote(&mut self) -> Result<(), sqlx::Error> {
        self.hold().await?;
        self.names.promote(&mut self.connection).await?;
        execute(&mut self.connection, "COMMIT".to_owned()).await?;
        self.is_frozen = false;
        Ok(())
    }

    async fn remove(mut self) -> Result<(), sqlx::Error> {
        self.next.close().await;
        self.release().await?;
        self.names.drop_next(&mut self.connection).await?;
        self.connection.close().await
    }
}

#[async_trait]
impl NextGeneration for Next {
    fn store(&self) -> Arc<dyn ProjectionStore> {
        Arc::new(self.next.clone())
    }

    async fn freeze(&mut self) -> Result<Vec<Checkpoint>, StoreError> {
        if !self.is_frozen {
            // The first who ask the new tables should find the ways that suit their size.
            self.next.write(analyze).await?;
        }
        self.hold().await.map_err(store_error)?;
        write::checkpoints(&mut self.connection).await
    }

    async fn swap(mut self: Box<Self>) -> Result<(), StoreError> {
        // What is not committed there when the schemas are renamed would be lost.
        self.next.close().await;
        if let Err(error) = self.promote().await {
            if let Err(error) = self.remove().await {
                tracing::warn!(%error, "the next generation of the read model could not be dropped");
            }
            return Err(store_error(error));
        }
        if let Err(error) = self.names.drop_old(&mut self.connection).await {
            tracing::warn!(%error, "the old generation of the read model could not be dropped");
        }
        // The swap is done, however this ends.
        let _ = self.connection.close().await;
        Ok(())
    }

    async fn discard(self: Box<Self>) -> Result<(), StoreError> {
        self.remove().await.map_err(store_error)
    }
}
