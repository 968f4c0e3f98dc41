//! Rebuilding: a new generation of the read model is filled from the log beside the live one, and takes
//! its place. Works while the live projector goes on, and without one.

use std::sync::Arc;

use async_trait::async_trait;
use eventstore::codec::Codec;
use eventstore::consumer::Checkpoint;
use eventstore::log::{EventLog, ReadError};
use eventstore::progress::Progress;

use crate::feed::{Feed, FeedError};
use crate::intake::{IntakeError, commands_since, take_in};
use crate::store::{ProjectionStore, StoreError};

/// How close the new generation must have come before the live one is held still.
const CLOSE_ENOUGH: u64 = 100;
/// How often it tries to come close to a log that is written to.
const ROUNDS: usize = 20;

/// Why a rebuild was given up. The live generation is as it was, unless the swap itself failed.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// The log cannot be read or decoded to its end.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// What was decoded could not be taken in.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A store that can fill a new generation beside the live one.
#[async_trait]
pub trait Generations: Send + Sync + 'static {
    /// Begins an empty generation. One that was begun before and never swapped is deleted.
    ///
    /// # Errors
    /// [`StoreError`] when the store refuses, or a rebuild is running already.
    async fn begin(&self) -> Result<Box<dyn NextGeneration>, StoreError>;
}

/// A generation that is being filled.
#[async_trait]
pub trait NextGeneration: Send {
    /// Where to put what is folded.
    fn store(&self) -> Arc<dyn ProjectionStore>;

    /// Holds the live generation still until this value is gone: nothing is asked of it and nothing
    /// applied. Answers its checkpoints.
    ///
    /// # Errors
    /// [`StoreError`] when the live generation cannot be read; it is held still nevertheless.
    async fn freeze(&mut self) -> Result<Vec<Checkpoint>, StoreError>;

    /// Takes the live generation's place. It is held still if it was not yet.
    ///
    /// # Errors
    /// [`StoreError`]; either generation may be the live one then, whole.
    async fn swap(self: Box<Self>) -> Result<(), StoreError>;

    /// Deletes the new generation; the live one goes on.
    ///
    /// # Errors
    /// [`StoreError`] when something of it remains; the next rebuild deletes it.
    async fn discard(self: Box<Self>) -> Result<(), StoreError>;
}

/// Fills a new generation from the whole log and swaps it in. `progress` shows how far it has come.
/// Dropping the future gives the rebuild up.
///
/// # Errors
/// [`RebuildError`].
pub async fn rebuild(
    generations: &dyn Generations,
    log: &Arc<dyn EventLog>,
    codec: &Codec,
    progress: &Progress,
) -> Result<(), RebuildError> {
    let mut next = generations.begin().await?;
    match fill(&mut *next, log, codec, progress).await {
        Ok(()) => Ok(next.swap().await?),
        Err(error) => {
            if let Err(error) = next.discard().await {
                tracing::warn!(%error, "the unfinished rebuild could not be deleted");
            }
            Err(error)
        }
    }
}

async fn fill(
    next: &mut dyn NextGeneration,
    log: &Arc<dyn EventLog>,
    codec: &Codec,
    progress: &Progress,
) -> Result<(), RebuildError> {
    let store = next.store();
    let mut reached: Vec<_> = (0..log.shards())
        .map(|shard| Checkpoint::start(log.epoch(), shard))
        .collect();
    for _ in 0..ROUNDS {
        let mut behind = 0;
        for checkpoint in &mut reached {
            let end = log.end(checkpoint.shard).await?;
            behind += end.saturating_sub(checkpoint.sequence);
            *checkpoint = catch_up(&*store, log, codec, *checkpoint, end, progress).await?;
        }
        if behind <= CLOSE_ENOUGH {
            break;
        }
    }
    // The live projector continues from the new generation's checkpoints, so they are no older than
    // those that others have seen. Checkpoints of another log say nothing about this one.
    for live in next
        .freeze()
        .await?
        .iter()
        .filter(|live| live.epoch == log.epoch())
    {
        let Some(checkpoint) = reached.get_mut(usize::from(live.shard)) else {
            continue;
        };
        let end = log.end(live.shard).await?.min(live.sequence);
        *checkpoint = catch_up(&*store, log, codec, *checkpoint, end, progress).await?;
    }
    Ok(())
}

async fn catch_up(
    store: &dyn ProjectionStore,
    log: &Arc<dyn EventLog>,
    codec: &Codec,
    from: Checkpoint,
    end: u64,
    progress: &Progress,
) -> Result<Checkpoint, RebuildError> {
    let mut checkpoint = from;
    if checkpoint.sequence >= end {
        return Ok(checkpoint);
    }
    let mut feed = Feed::start(Arc::clone(log), codec.clone(), checkpoint);
    while checkpoint.sequence < end {
        let commits = feed.next().await?;
        checkpoint = take_in(store, checkpoint, commits, commands_since()).await?;
        progress.set(checkpoint.shard, checkpoint.sequence);
    }
    Ok(checkpoint)
}
