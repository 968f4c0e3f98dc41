//! Who is let in: users whose status is ACTIVE, and everyone of whom nothing is known.
//!
//! A token says who somebody is for as long as it lasts; that a user was blocked meanwhile is in the read
//! model. Every node keeps in memory whom it does not let in, and looks a few times a second at what changed.
//! While the read model is still being filled, the log itself is asked, user by user.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::user::{Status, User};
use domain::{TenantId, UserId};
use eventstore::execute::Executor;
use eventstore::{Position, Progress, Stream};
use projections::store::{ReadModel, StoreError};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::auth::Identity;
use crate::error::ApiError;
use crate::realtime::Hub;

/// How often statuses are looked at: with a read model that keeps up, well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Changes read at a time.
const PAGE: u32 = 1_000;

/// Who is not let in.
#[derive(Clone)]
pub struct Standing(Arc<Shared>);

struct Shared {
    read_model: Arc<dyn ReadModel>,
    projected: Progress,
    users: Arc<Executor<User>>,
    hub: Hub,
    /// The ends of the log when the node started: from there on the read model knows of everyone.
    since: Vec<Position>,
    is_complete: AtomicBool,
    barred: RwLock<HashMap<(TenantId, UserId), Status>>,
    /// Up to where each shard was looked at.
    looked: Mutex<Vec<Looked>>,
}

#[derive(Clone, Copy, Default)]
struct Looked {
    /// The sequence of the last change that was seen.
    change: u64,
    /// How far the read model was then.
    projected: Option<u64>,
}

impl Standing {
    /// What this read model says, which is this far, of a log that had these ends when the node started.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    pub async fn load(
        read_model: Arc<dyn ReadModel>,
        projected: Progress,
        users: Arc<Executor<User>>,
        since: Vec<Position>,
        hub: Hub,
    ) -> Result<Self, StoreError> {
        let standing = Self(Arc::new(Shared {
            read_model,
            projected,
            users,
            hub,
            barred: RwLock::default(),
            is_complete: AtomicBool::new(false),
            looked: Mutex::new(vec![Looked::default(); since.len()]),
            since,
        }));
        standing.look().await?;
        Ok(standing)
    }

    /// Keeps up with the read model until it is cancelled.
    pub async fn keep_up(self, cancel: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_away = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.look().await {
                Ok(()) => is_away = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(%error, "whom not to let in cannot be looked at");
                    }
                }
            }
        }
    }

    /// Takes in what changed, and closes the sockets of whoever is not let in any more.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or damaged.
    pub async fn look(&self) -> Result<(), StoreError> {
        let Shared {
            read_model,
            projected,
            hub,
            since,
            looked,
            ..
        } = &*self.0;
        let reached = |end: &Position| projected.get(end.shard) >= end.sequence;
        let is_complete = since.iter().all(reached);
        // One look at a time: changes are taken in in their order.
        for (shard, looked) in (0..).zip(looked.lock().await.iter_mut()) {
            let now = projected.get(shard);
            if looked.projected == Some(now) {
                continue;
            }
            loop {
                let changes = read_model.status_changes(shard, looked.change, PAGE).await?;
                let is_last = changes.len() < PAGE as usize;
                for change in changes {
                    looked.change = change.sequence;
                    let key = (change.tenant, change.user);
                    if self.learn(&key, change.status) {
                        hub.expel(key).await;
                    }
                }
                if is_last {
                    break;
                }
            }
            looked.projected = Some(now);
        }
        if is_complete {
            self.0.is_complete.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Takes in a status; `true` when who has it is not let in.
    fn learn(&self, key: &(TenantId, UserId), status: Status) -> bool {
        let mut barred = self.0.barred.write().unwrap_or_else(PoisonError::into_inner);
        if status == Status::Active {
            barred.remove(key);
            return false;
        }
        barred.insert(key.clone(), status);
        true
    }

    /// Lets a user in, or does not.
    ///
    /// # Errors
    /// 401 for whoever is not ACTIVE; 503 when that cannot be known yet, because the read model is being filled
    /// and the log is away.
    pub async fn admit(&self, identity: Identity) -> Result<Identity, ApiError> {
        let status = if self.0.is_complete.load(Ordering::Acquire) {
            self.known(&identity)
        } else {
            let stream = Stream::User(identity.tenant.clone(), identity.user.clone());
            self.0.users.confirmed(&stream).await?.state.status()
        };
        match status {
            Status::Active => Ok(identity),
            Status::Inactive => Err(ApiError::unauthenticated(
                ApiError::USER_INACTIVE,
                "the account is not in use",
            )),
            Status::Blocked => Err(ApiError::unauthenticated(
                ApiError::USER_BLOCKED,
                "the user is blocked",
            )),
        }
    }

    fn known(&self, identity: &Identity) -> Status {
        let barred = self.0.barred.read().unwrap_or_else(PoisonError::into_inner);
        if barred.is_empty() {
            return Status::Active;
        }
        let status = barred.get(&(identity.tenant.clone(), identity.user.clone()));
        status.copied().unwrap_or_default()
    }

    /// Whether a user who was let in before is not any more.
    #[must_use]
    pub fn is_barred(&self, key: &(TenantId, UserId)) -> bool {
        let barred = self.0.barred.read().unwrap_or_else(PoisonError::into_inner);
        barred.contains_key(key)
    }
}
