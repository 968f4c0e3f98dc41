//! A rebuild of the SQLite store: the next generation is a file beside the live one.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use eventstore::consumer::Checkpoint;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockWriteGuard};

use super::generation::{Generation, next_of, promote, remove};
use super::{OpenError, READERS, SqliteReadModel, store_error, write};
use crate::rebuild::{Generations, NextGeneration};
use crate::store::{ProjectionStore, StoreError};

/// The generation that is being filled in `….next`.
struct Next {
    live: SqliteReadModel,
    next: SqliteReadModel,
    held: Option<OwnedRwLockWriteGuard<Option<Generation>>>,
    _rebuilding: OwnedMutexGuard<()>,
}

#[async_trait]
impl Generations for SqliteReadModel {
    async fn begin(&self) -> Result<Box<dyn NextGeneration>, StoreError> {
        let rebuilding = Arc::clone(&self.rebuilding)
            .try_lock_owned()
            .map_err(|_| StoreError::Unavailable("a rebuild is running already".to_owned()))?;
        let path = next_of(&self.path);
        remove(&path).await.map_err(refused)?;
        let next = Self::open_generation(&path, 1).await.map_err(refused)?;
        Ok(Box::new(Next {
            live: self.clone(),
            next,
            held: None,
            _rebuilding: rebuilding,
        }))
    }
}

impl Next {
    async fn hold(&mut self) -> &mut OwnedRwLockWriteGuard<Option<Generation>> {
        let held = match self.held.take() {
            Some(held) => held,
            None => Arc::clone(&self.live.live).write_owned().await,
        };
        self.held.insert(held)
    }

    /// Closes the next generation, complete or not.
    async fn close_next(&self, is_complete: bool) -> Result<(), StoreError> {
        let closing = self.next.live.write().await.take();
        let Some(next) = closing else { return Ok(()) };
        if is_complete {
            next.mark_complete().await.map_err(store_error)?;
        }
        next.close().await.map_err(store_error)
    }
}

#[async_trait]
impl NextGeneration for Next {
    fn store(&self) -> Arc<dyn ProjectionStore> {
        Arc::new(self.next.clone())
    }

    async fn freeze(&mut self) -> Result<Vec<Checkpoint>, StoreError> {
        match self.hold().await.as_mut() {
            Some(live) => write::checkpoints(live.writer.get_mut()).await,
            None => Ok(Vec::new()),
        }
    }

    async fn swap(mut self: Box<Self>) -> Result<(), StoreError> {
        self.hold().await;
        let path = self.live.path.clone();
        let mut swapped = self.close_next(true).await;
        let held = self.hold().await;
        if swapped.is_ok() {
            swapped = replace(held.take(), &path).await;
            // Whichever of the two the file is now, it is whole.
            **held = Some(Generation::open(&path, READERS).await.map_err(refused)?);
        }
        if swapped.is_err() {
            // The live generation goes on: a start must not find this one and take it for newer.
            remove(&next_of(&path)).await.map_err(refused)?;
        }
        swapped
    }

    async fn discard(self: Box<Self>) -> Result<(), StoreError> {
        let closed = self.close_next(false).await;
        remove(&next_of(&self.live.path)).await.map_err(refused)?;
        closed
    }
}

async fn replace(live: Option<Generation>, path: &Path) -> Result<(), StoreError> {
    if let Some(live) = live {
        live.close().await.map_err(store_error)?;
    }
    promote(path).await.map_err(refused)
}

fn refused(error: OpenError) -> StoreError {
    match error {
        OpenError::Io(error) => StoreError::Unavailable(error.to_string()),
        OpenError::Database(error) => StoreError::Unavailable(error),
        OpenError::Foreign(error) => StoreError::Damaged(error),
    }
}
