//! Asking a database that may be away: it is waited for once, and not again by every command until it
//! answers.
//!
//! What is asked of it can be had from the log too, only slower. So after a failure nobody waits any
//! more, and one task asks again and again until there is an answer.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::facts::{Asked, CommandIds, FactStore, Facts, FactsUnavailable, MessageFacts};
use crate::snapshot::{Snapshot, SnapshotStore};
use crate::subject::Stream;

/// How long the database is waited for before the log is asked instead.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a database that is away is tried.
const AGAIN: Duration = Duration::from_secs(1);

/// What the executor asks of the database. Clones share what they know of it.
#[derive(Clone)]
pub(super) struct Stores {
    facts: Arc<dyn FactStore>,
    snapshots: Arc<dyn SnapshotStore>,
    facts_away: Arc<AtomicBool>,
    snapshots_away: Arc<AtomicBool>,
}

impl Stores {
    pub(super) fn new(facts: Arc<dyn FactStore>, snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self {
            facts,
            snapshots,
            facts_away: Arc::default(),
            snapshots_away: Arc::default(),
        }
    }

    /// Whether commands are looked up in the log because the read model is away.
    pub(super) fn facts_are_away(&self) -> bool {
        self.facts_away.load(Ordering::Relaxed)
    }

    /// The facts of these commands; `None` while the read model is away.
    pub(super) async fn facts(
        &self,
        shard: u16,
        stream: &Stream,
        commands: &[domain::CommandId],
    ) -> Option<Facts> {
        self.ask_facts(shard, stream, self.facts.facts(shard, stream, commands))
            .await
    }

    /// The ids of all commands of a stream, if they are not more than this; `None` while the read model is
    /// away.
    pub(super) async fn command_ids(&self, shard: u16, stream: &Stream, at_most: u32) -> Option<CommandIds> {
        self.ask_facts(shard, stream, self.facts.command_ids(shard, stream, at_most))
            .await
    }

    /// What is known of these messages; `None` while the read model is away.
    pub(super) async fn messages(
        &self,
        shard: u16,
        stream: &Stream,
        asked: &[Asked],
    ) -> Option<MessageFacts> {
        self.ask_facts(shard, stream, self.facts.message_facts(shard, stream, asked))
            .await
    }

    async fn ask_facts<T>(
        &self,
        shard: u16,
        stream: &Stream,
        question: impl Future<Output = Result<T, FactsUnavailable>>,
    ) -> Option<T> {
        if self.facts_are_away() {
            return None;
        }
        let (store, of) = (Arc::clone(&self.facts), stream.clone());
        let again = move || {
            let (store, of) = (Arc::clone(&store), of.clone());
            async move { store.facts(shard, &of, &[]).await.is_ok() }
        };
        ask("facts", &self.facts_away, question, again).await
    }

    /// The stream's newest snapshot; the outer `None` while snapshots are away.
    pub(super) async fn snapshot(&self, stream: &Stream) -> Option<Option<Snapshot>> {
        if self.snapshots_away.load(Ordering::Relaxed) {
            return None;
        }
        let (store, of) = (Arc::clone(&self.snapshots), stream.clone());
        let again = move || {
            let (store, of) = (Arc::clone(&store), of.clone());
            async move { store.load(&of).await.is_ok() }
        };
        ask(
            "snapshots",
            &self.snapshots_away,
            self.snapshots.load(stream),
            again,
        )
        .await
    }
}

/// Asks once. Without an answer the store is away from then on, until `again` says otherwise.
async fn ask<T, E: Display, F>(
    store: &'static str,
    away: &Arc<AtomicBool>,
    question: impl Future<Output = Result<T, E>>,
    again: impl Fn() -> F + Send + 'static,
) -> Option<T>
where
    F: Future<Output = bool> + Send,
{
    let reason = match timeout(PATIENCE, question).await {
        Ok(Ok(answer)) => return Some(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    if !away.swap(true, Ordering::Relaxed) {
        tracing::warn!(store, reason, "the database is away, the log is asked instead");
        let away = Arc::clone(away);
        tokio::spawn(async move {
            // Nobody asks any more once the executor and its actors are gone.
            while Arc::strong_count(&away) > 1 {
                sleep(AGAIN).await;
                if timeout(PATIENCE, again()).await == Ok(true) {
                    away.store(false, Ordering::Relaxed);
                    tracing::info!(store, "the database is back");
                    return;
                }
            }
        });
    }
    None
}
