//! Histories written into a log, sealed as they would be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{TenantId, UserId};
use eventstore::codec::{Codec, Draft, assemble};
use eventstore::envelope::Commit;
use eventstore::log::{EventLog, Position};
use eventstore::sealing::{KeyId, KeyStore, KeysUnavailable, UserKey};
use projections::{ProjectionStore, Projector};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::memory_log::MemoryLog;

/// How long anything may take before the test counts as failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Keys that can be lost, or be away for a while.
#[derive(Default)]
pub(crate) struct Keys {
    by_user: Mutex<BTreeMap<(TenantId, UserId), UserKey>>,
    away: Mutex<u32>,
}

impl Keys {
    pub(crate) fn lose(&self, tenant: &TenantId, user: &UserId) {
        self.by_user
            .lock()
            .unwrap()
            .remove(&(tenant.clone(), user.clone()))
            .unwrap();
    }

    pub(crate) fn fail(&self, count: u32) {
        *self.away.lock().unwrap() = count;
    }
}

#[async_trait]
impl KeyStore for Keys {
    async fn current(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        let mut keys = self.by_user.lock().unwrap();
        let key = |user: &UserId| (tenant.clone(), user.clone());
        Ok(users
            .iter()
            .map(|user| keys.entry(key(user)).or_insert_with(UserKey::draw).clone())
            .collect())
    }

    async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Err(KeysUnavailable("they were told to fail".to_owned()));
        }
        Ok(self
            .by_user
            .lock()
            .unwrap()
            .values()
            .filter(|key| ids.contains(&key.id))
            .cloned()
            .collect())
    }
}

/// Appends the commits to the log.
pub(crate) async fn write(log: &MemoryLog, codec: &Codec, commits: &[Commit]) {
    for commit in commits {
        let draft = |recorded: &eventstore::Recorded| Draft {
            version: recorded.version,
            actor: recorded.actor.clone(),
            command: recorded.command,
            trace: recorded.trace.clone(),
            event: recorded.event.clone(),
        };
        let drafts: Vec<_> = commit.events.iter().map(draft).collect();
        let events = codec
            .encode(commit.stream.tenant(), commit.id, 0, &drafts)
            .await
            .unwrap();
        log.push(commit.stream.clone(), assemble(commit.id, commit.time, &events));
    }
}

/// A projector at work.
pub(crate) struct Running {
    pub(crate) projector: Projector,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(log: &Arc<MemoryLog>, codec: &Codec, store: Arc<dyn ProjectionStore>) -> Self {
        let projector = Projector::new(Arc::clone(log) as Arc<dyn EventLog>, codec.clone(), store);
        let cancel = CancellationToken::new();
        let (running, token) = (projector.clone(), cancel.clone());
        let task = tokio::spawn(async move { running.run(token).await });
        Self {
            projector,
            cancel,
            task,
        }
    }

    /// Waits until it has taken in everything that is in the log now.
    pub(crate) async fn caught_up(&self, log: &MemoryLog) {
        for shard in 0..log.shards() {
            let end = Position {
                epoch: log.epoch(),
                shard,
                sequence: log.end(shard).await.unwrap(),
            };
            assert!(
                self.projector.progress().reached(end, DEADLINE).await,
                "{:?}",
                self.projector.statuses()
            );
        }
    }

    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }

    /// As a crash would: in the middle of whatever it does.
    pub(crate) async fn abort(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
