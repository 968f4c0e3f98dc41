//! What goes out of the system: members who are away are notified of messages, by a webhook and by Web Push.
//!
//! A consumer per shard looks at the log from a checkpoint of its own ([`intake`]), which no rebuild of read models
//! touches, and keeps each message as a notice. Recipients are chosen from the read models a page at a time
//! ([`plan`]), and what was chosen is delivered from the [`store`] until it was taken, or is a dead letter
//! ([`deliver`]). So everything is delivered at least once, always with the same id. [`webhook`] and [`push`] are
//! the two ways.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::user::User;
use eventstore::execute::Executor;
use eventstore::lease::Leases;
use eventstore::roll_call::RollCall;
use eventstore::{Codec, EventLog, Progress};
use projections::store::ReadModel;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::push::Push;
use self::store::{EffectStore, StoreUnavailable, Way};
use self::webhook::Webhook;
use crate::app::{Health, now};
use crate::attachments::links::Links;

mod content;
pub mod deliver;
pub mod intake;
pub mod plan;
pub mod push;
pub mod store;
pub mod webhook;

/// How often the figures of the store are told.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
/// How often old dead letters are forgotten, and how old they are then.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
const DEAD_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Who is told, and how hard it is tried.
pub struct Settings {
    /// The webhook, if there is one.
    pub webhook: Option<Webhook>,
    /// Web Push, if there is a key for it.
    pub push: Option<Arc<Push>>,
    /// How often a delivery is tried before it is a dead letter.
    pub attempts: u32,
    /// How old a message may be when recipients are chosen for it.
    pub max_age: Duration,
}

/// What notifying stands on.
pub struct Effects {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// Reads commits.
    pub codec: Codec,
    /// Says who is a member and what was said.
    pub read_model: Arc<dyn ReadModel>,
    /// How far that is.
    pub projected: Progress,
    /// Ends devices that are gone.
    pub users: Arc<Executor<User>>,
    /// Which node looks at which shard.
    pub leases: Arc<dyn Leases>,
    /// Who is online.
    pub roll_call: Arc<dyn RollCall>,
    /// What is still to be delivered.
    pub store: Arc<dyn EffectStore>,
    /// Who is told.
    pub settings: Settings,
    /// Signs the URLs of files.
    pub links: Links,
    /// What this node is called.
    pub node: String,
    /// How it does.
    pub troubles: Troubles,
    /// There is something to be delivered.
    pub wake: Wake,
}

/// What keeps shards from being looked at. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<u16, String>>>);

impl Troubles {
    fn set(&self, shard: u16, trouble: Option<String>) {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => drop(troubles.insert(shard, trouble)),
            None => drop(troubles.remove(&shard)),
        }
    }

    /// How notifying does. It never keeps a node from being ready.
    #[must_use]
    pub fn health(&self) -> Health {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = troubles.values().next().cloned();
        first.map_or(Health::Well, Health::Limping)
    }
}

/// Wakes those who deliver.
#[derive(Debug, Default)]
pub struct Wake {
    webhook: Notify,
    push: Notify,
}

impl Wake {
    const fn of(&self, way: Way) -> &Notify {
        match way {
            Way::Webhook => &self.webhook,
            Way::Push => &self.push,
        }
    }

    fn all(&self) {
        self.webhook.notify_one();
        self.push.notify_one();
    }
}

impl Effects {
    /// Makes ready to run: a shard that was never looked at begins at its end, so that nobody is notified of
    /// what was there before. Messages that are sent once this has returned are looked at.
    ///
    /// # Errors
    /// When the log or the store is away.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        for shard in 0..self.log.shards() {
            intake::begin(self, shard).await?;
        }
        self.store.release(&self.node, now()).await?;
        Ok(())
    }

    /// Notifies until it is cancelled. What is being sent at that moment is finished.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let shards = (0..self.log.shards()).map(|shard| intake::run(&self, shard, &cancel));
        tokio::join!(
            futures::future::join_all(shards),
            deliver::run(&self, Way::Webhook, &cancel),
            deliver::run(&self, Way::Push, &cancel),
            self.keep_house(&cancel),
        );
        self.store.close().await;
    }

    async fn keep_house(&self, cancel: &CancellationToken) {
        let mut figures = tokio::time::interval(FIGURES_EVERY);
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        loop {
            let done = tokio::select! {
                () = cancel.cancelled() => return,
                _ = figures.tick() => self.tell().await,
                _ = prune.tick() => self.store.prune(before(now(), DEAD_FOR)).await.map(drop),
            };
            if let Err(error) = done {
                tracing::debug!(%error, "the store of notifications was not looked at");
            }
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; counts and ages stay below 2^53"
    )]
    async fn tell(&self) -> Result<(), StoreUnavailable> {
        let figures = self.store.figures().await?;
        let age = figures
            .oldest
            .map_or(0, |oldest| now().as_millis() - oldest.as_millis());
        metrics::gauge!("verbatim_notifications_waiting").set(figures.waiting as f64);
        metrics::gauge!("verbatim_notifications_oldest_seconds").set(age.max(0) as f64 / 1_000.0);
        metrics::gauge!("verbatim_notifications_dead").set(figures.dead as f64);
        Ok(())
    }
}

/// The time so long before this one.
fn before(time: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(time.as_millis().saturating_sub(age))
}

/// The time so long after this one.
fn after(time: Timestamp, pause: Duration) -> Timestamp {
    let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(time.as_millis().saturating_add(pause))
}
