//! The stations of a node, composed: the one place that names concrete adapters.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use domain::user::User;
use eventstore::execute::{Conversations, Executor, Ports, ReadMarks};
use eventstore::lease::Leases;
use eventstore::live::LiveLog;
use eventstore::roll_call::RollCall;
use eventstore::signals::Signals;
use eventstore::{Codec, Epoch, EventLog, Position, Progress, ResumeError};
use projections::projector::VerifyError;
use projections::rebuild::Generations;
use projections::store::{ProjectionStore, ReadModel};
use projections::{Projector, ProjectorStatus};
use search_indexer::{Indexer, SearchIndex, Status};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::projecting::Projecting;
use crate::app::{App, Edge, Health, ProfileCache, Station, now};
use crate::attachments::Attachments;
use crate::attachments::links::Links;
use crate::attachments::sweep::Sweep;
use crate::commands::Repeats;
use crate::config::Deployment;
use crate::consistency::Consistency;
use crate::effects::{Effects, Settings, Troubles};
use crate::folder::Folder;
use crate::realtime::{Cursors, Hub, Starting};
use crate::standing::Standing;

pub mod blobs;
mod cluster;
mod embedded;
mod notifying;
mod projecting;

pub use notifying::open_effects;

/// Records that the read models may be behind before commands wait for them.
const MAX_LAG: u64 = 50_000;

/// What to do about read models and an index that are not of this log: the log is gone, or it went back under
/// them, or it was given a new epoch and they were not filled again since.
async fn foreign(log: &dyn EventLog, error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    let resume = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(VerifyError::Resume(resume)) => Some(resume),
        _ => cause.downcast_ref::<ResumeError>(),
    });
    match resume {
        Some(
            ResumeError::ForeignEpoch { shard, sequence, .. } | ResumeError::ForeignCommit { shard, sequence },
        ) if *sequence > 0 && is_empty(log).await => {
            let told = format!(
                "the log is EMPTY, and the read models or the index of this folder were filled up to sequence \
                 {sequence} of its shard {shard}: the log's storage was lost, or another one is meant than the one \
                 that was named. Restore the log from its backup and run `verbatim rebuild --new-epoch` with the \
                 same options; only if everything that was in it may be lost, run `verbatim rebuild`"
            );
            error.context(told)
        }
        Some(ResumeError::Read(_)) => error.context("the log cannot be read"),
        None => error.context("the read models and the index cannot be compared with the log"),
        Some(ResumeError::ForeignEpoch { .. }) => error.context(
            "the log has a new epoch since the read models or the index of this folder were filled: run `verbatim \
             rebuild` with the same options",
        ),
        Some(_) => error.context(
            "the read models are not of this log; if the log was restored from a backup, run `verbatim rebuild \
             --new-epoch` with the same options",
        ),
    }
}

/// Whether a log has no records. One that cannot be asked is not said to have none.
async fn is_empty(log: &dyn EventLog) -> bool {
    for shard in 0..log.shards() {
        if !matches!(log.end(shard).await, Ok(0)) {
            return false;
        }
    }
    true
}

/// A store of read models, as a node needs it.
pub trait Store: ReadModel + ProjectionStore + Generations {}

impl<S: ReadModel + ProjectionStore + Generations> Store for S {}

/// What read models and keys are kept in.
#[async_trait]
pub trait Stores: Send + Sync {
    /// Whether they answer.
    ///
    /// # Errors
    /// Why they do not, in words.
    fn health(&self) -> Result<(), String>;

    /// Whether the keys are lost.
    fn are_keys_lost(&self) -> bool {
        false
    }

    /// Closes all of it. Afterwards files hold everything that was acknowledged, and can be copied.
    async fn close(&self);
}

/// What is to be thought of keys that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// They are made for a log that is new, and missed for any other.
    Expected,
    /// They are lost for good, and new ones are made for what comes.
    Lost,
}

/// What a node stands on: the adapters of its mode, behind their ports.
pub struct Parts {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// The same, listened to.
    pub live: Arc<dyn LiveLog>,
    /// Which node does what one alone should do.
    pub leases: Arc<dyn Leases>,
    /// Notices between nodes.
    pub signals: Arc<dyn Signals>,
    /// Who is online, on whatever node.
    pub roll_call: Arc<dyn RollCall>,
    /// Writes and reads commits.
    pub codec: Codec,
    /// The read models.
    pub read_model: Arc<dyn Store>,
    /// What to close in the end.
    pub stores: Arc<dyn Stores>,
}

impl Parts {
    /// Opens what this deployment stands on.
    ///
    /// # Errors
    /// Whatever is away, or is not this deployment's.
    pub async fn open(deployment: &Deployment, folder: &Folder, keys: Keys) -> anyhow::Result<Self> {
        let mut parts = if deployment.is_cluster() {
            cluster::open(&deployment.cluster, folder, keys).await?
        } else {
            embedded::open(folder, keys).await?
        };
        let unknown = deployment.rehearsal.unknown_types.iter().cloned();
        parts.codec = parts.codec.without_types(unknown);
        Ok(parts)
    }
}

/// Gives the deployment's log a new epoch: every position of the old one means nothing any more.
///
/// # Errors
/// When there is no log, or it is away.
pub async fn renew_epoch(deployment: &Deployment, folder: &Folder) -> anyhow::Result<Epoch> {
    if deployment.is_cluster() {
        cluster::renew_epoch(&deployment.cluster).await
    } else {
        embedded::renew_epoch(folder).await
    }
}

/// A node with its projectors and its indexer running.
pub struct Node {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// Writes and reads commits.
    pub codec: Codec,
    /// Carries out the commands of conversations.
    pub conversations: Arc<Conversations>,
    users: Arc<Executor<User>>,
    live: Arc<dyn LiveLog>,
    signals: Arc<dyn Signals>,
    leases: Arc<dyn Leases>,
    roll_call: Arc<dyn RollCall>,
    read_model: Arc<dyn Store>,
    projector: Projector,
    search: SearchIndex,
    indexer: Arc<Indexer>,
    projecting: JoinHandle<()>,
    /// What goes out.
    notifying: TaskTracker,
    deployment: Deployment,
    is_cluster: bool,
    /// Cancelled when requests and sockets are to come to their end.
    stopping: CancellationToken,
    /// Cancelled when the stations are to stop, which requests that are being finished still need.
    stations: CancellationToken,
    stores: Arc<dyn Stores>,
    // Dropped last: while anything of the node lives, no other process has the folder.
    folder: Folder,
}

impl Node {
    /// Opens what the deployment stands on and starts the stations.
    ///
    /// # Errors
    /// Whatever keeps a station from starting; read models of another log among it.
    pub async fn start(deployment: &Deployment) -> anyhow::Result<Self> {
        let folder = Folder::open(&deployment.data.data)?;
        let Parts {
            log,
            live,
            leases,
            signals,
            roll_call,
            codec,
            read_model,
            stores,
        } = Parts::open(deployment, &folder, Keys::Expected).await?;
        let projector = Projector::new(Arc::clone(&log), codec.clone(), read_model.clone());
        if let Err(error) = projector.verify().await {
            return Err(foreign(&*log, error).await);
        }
        let stations = CancellationToken::new();
        let search = SearchIndex::open(&folder.search()).context("the search index cannot be opened")?;
        let (of_log, cancel) = (Arc::clone(&log), stations.child_token());
        let indexer = match Indexer::start(search.clone(), of_log, codec.clone(), cancel).await {
            Ok(indexer) => indexer,
            Err(error) => return Err(foreign(&*log, error).await),
        };
        let projecting = Projecting {
            projector: projector.clone(),
            log: Arc::clone(&log),
            live: Arc::clone(&live),
            leases: Arc::clone(&leases),
            signals: Arc::clone(&signals),
        };
        let projecting = tokio::spawn(projecting.run(stations.child_token()));

        let ports = Ports {
            log: Arc::clone(&log),
            codec: codec.clone(),
            facts: read_model.clone(),
            snapshots: read_model.clone(),
            projected: projector.progress(),
            max_lag: MAX_LAG,
            clock: Arc::new(now),
        };
        Ok(Self {
            conversations: Conversations::new(ports.clone()),
            users: Executor::new(ports),
            log,
            codec,
            live,
            signals,
            leases,
            roll_call,
            read_model,
            projector,
            search,
            indexer: Arc::new(indexer),
            projecting,
            notifying: TaskTracker::new(),
            deployment: deployment.clone(),
            is_cluster: deployment.is_cluster(),
            stopping: CancellationToken::new(),
            stations,
            stores,
            folder,
        })
    }

    /// Where its data lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How far the read models are.
    #[must_use]
    pub fn projected(&self) -> Progress {
        self.projector.progress()
    }

    /// How far the search index is.
    #[must_use]
    pub fn indexed(&self) -> &Progress {
        self.indexer.progress()
    }

    /// The ends of the log, by shard.
    ///
    /// # Errors
    /// When the log is away.
    pub async fn ends(&self) -> anyhow::Result<Vec<Position>> {
        let mut ends = Vec::new();
        for shard in 0..self.log.shards() {
            ends.push(self.log.position(shard, self.log.end(shard).await?));
        }
        Ok(ends)
    }

    /// Makes the index searchable up to what was taken in.
    ///
    /// # Errors
    /// When the indexer has stopped.
    pub async fn commit_index(&self) -> anyhow::Result<()> {
        Ok(self.indexer.commit_now().await?)
    }

    /// What handlers see of the node.
    ///
    /// # Errors
    /// When the log is away, or metrics are recorded in this process already.
    pub async fn app(&self, edge: Edge) -> anyhow::Result<Arc<App>> {
        let projected = self.projected();
        let storage = &edge.storage;
        let base = storage.public_url.as_ref().map_or("", |url| url.as_str());
        let links = Links::new(&edge.link_key, base, storage.attachment_url_lifetime);
        let attachments = blobs::open(storage, &self.folder, self.is_cluster)?.map(Arc::new);
        if let Some(attachments) = &attachments {
            let sweep = Sweep {
                attachments: Arc::clone(attachments),
                leases: Arc::clone(&self.leases),
                log: Arc::clone(&self.log),
                projected: projected.clone(),
                read_model: self.read_model.clone(),
                users: Arc::clone(&self.users),
            };
            tokio::spawn(sweep.run(self.stations.child_token()));
        }
        let hub = Hub::start(Starting {
            log: Arc::clone(&self.live),
            codec: self.codec.clone(),
            signals: Arc::clone(&self.signals),
            read_model: self.read_model.clone(),
            links: links.clone(),
            projected: (0..self.log.shards()).map(|shard| projected.get(shard)).collect(),
            cancel: self.stations.child_token(),
        })
        .await?;
        let (calls, here) = (Arc::clone(&self.roll_call), Arc::new(hub.clone()));
        let cancel = self.stations.child_token();
        tokio::spawn(async move { calls.attend(here, cancel).await });
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
            .set_buckets(&[
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
            ])?
            .install_recorder()?;
        let ends = self.ends().await?;
        let standing = Standing::load(
            self.read_model.clone(),
            projected,
            Arc::clone(&self.users),
            ends.clone(),
            hub.clone(),
        )
        .await?;
        tokio::spawn(standing.clone().keep_up(self.stations.child_token()));
        if let Some((jwks, every)) = edge.jwks {
            tokio::spawn(jwks.keep_fresh(every, self.stopping.clone()));
        }
        let (limits, stopping) = (Arc::clone(&edge.limits), self.stopping.clone());
        tokio::spawn(async move { limits.keep_small(stopping).await });
        let mut stations = self.stations(&hub, attachments.as_ref());
        let push = edge.notifications.as_ref().and_then(|it| it.push.clone());
        if let Some(settings) = edge.notifications {
            let troubles = self.notify(settings, links.clone()).await?;
            stations.push(("notifications", Box::new(move || troubles.health())));
        }
        Ok(Arc::new(App {
            log: Arc::clone(&self.log),
            codec: self.codec.clone(),
            conversations: Arc::clone(&self.conversations),
            users: Arc::clone(&self.users),
            reads: ReadMarks::new(Arc::clone(&self.conversations)),
            read_model: self.read_model.clone(),
            consistency: Consistency::new(&self.projector, ends),
            search: self.search.clone(),
            stations,
            hub,
            cursors: Cursors::new(edge.cursor_key, self.log.epoch()),
            signals: Arc::clone(&self.signals),
            projected: self.projected(),
            indexed: self.indexer.progress().clone(),
            metrics,
            stopping: self.stopping.clone(),
            profiles: ProfileCache::default(),
            repeats: Repeats::default(),
            authenticator: edge.authenticator,
            standing,
            limits: edge.limits,
            edit_window: edge.edit_window,
            push,
            links,
            attachments,
        }))
    }

    /// Begins to tell members who are away. What is sent once this has returned is told.
    async fn notify(&self, settings: Settings, links: Links) -> anyhow::Result<Troubles> {
        let effects = Effects {
            log: Arc::clone(&self.log),
            codec: self.codec.clone(),
            read_model: self.read_model.clone(),
            projected: self.projected(),
            users: Arc::clone(&self.users),
            leases: Arc::clone(&self.leases),
            roll_call: Arc::clone(&self.roll_call),
            store: notifying::open(&self.deployment, &self.folder).await?,
            settings,
            links,
            node: self.folder.node_id()?.to_string(),
            troubles: Troubles::default(),
            wake: Default::default(),
        };
        effects.prepare().await?;
        let troubles = effects.troubles.clone();
        self.notifying
            .spawn(Arc::new(effects).run(self.stations.child_token()));
        Ok(troubles)
    }

    fn stations(&self, hub: &Hub, attachments: Option<&Arc<Attachments>>) -> Vec<(&'static str, Station)> {
        let statuses = self.projector.statuses();
        let stores = Arc::clone(&self.stores);
        let indexer = Arc::clone(&self.indexer);
        let hub = hub.clone();
        let keys = Arc::clone(&self.stores);
        let mut stations: Vec<(_, Station)> = vec![
            (
                "keys",
                Box::new(move || {
                    if keys.are_keys_lost() {
                        Health::Down("the keys are lost: restore them from their backup".to_owned())
                    } else {
                        Health::Well
                    }
                }),
            ),
            (
                "read_models",
                Box::new(move || match statuses.worst() {
                    ProjectorStatus::Running => {
                        stores.health().map_or_else(Health::Limping, |()| Health::Well)
                    }
                    // Sends and live delivery go on without the database.
                    ProjectorStatus::Retrying { reason } => Health::Limping(reason),
                    ProjectorStatus::Stopped { reason } => Health::Down(reason),
                }),
            ),
            (
                "search",
                Box::new(move || match indexer.status() {
                    Status::Running => Health::Well,
                    Status::Retrying { reason } => Health::Limping(reason),
                    Status::Stopped { reason } => Health::Down(reason),
                }),
            ),
            (
                "live",
                Box::new(move || match hub.health() {
                    Ok(()) => Health::Well,
                    Err(reason) => Health::Limping(reason),
                }),
            ),
        ];
        if let Some(attachments) = attachments.map(Arc::clone) {
            let health = move || match attachments.blobs.health() {
                Ok(()) => Health::Well,
                Err(reason) => Health::Limping(reason),
            };
            stations.push(("blobs", Box::new(health)));
        }
        stations
    }

    /// To be cancelled when requests and sockets are to come to their end.
    #[must_use]
    pub const fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Stops the stations and closes what they stand on. What was acknowledged is in the log already; what
    /// the read models and the index have not taken in yet, they take in at the next start.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.stations.cancel();
        if let Err(error) = self.projecting.await {
            tracing::error!(%error, "the projectors ended badly");
        }
        self.notifying.close();
        self.notifying.wait().await;
        let stopped = self.indexer.stopped().await;
        tracing::debug!(reason = %stopped.reason, "the indexer has ended");
        self.stores.close().await;
    }
}

/// Whether nothing was ever written to the log.
async fn is_new(log: &dyn EventLog) -> anyhow::Result<bool> {
    for shard in 0..log.shards() {
        if log.end(shard).await? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lets keys be made for a log that is new alone: to another one they would be the loss of everything that
/// people wrote.
///
/// # Errors
/// When the keys of a log with records are missing.
fn require_keys(log_is_new: bool, there_are_keys: bool, keys: Keys) -> anyhow::Result<()> {
    anyhow::ensure!(
        log_is_new || there_are_keys || keys == Keys::Lost,
        "the log has records, and the keys that open them are gone: restore the keys from their backup, or run \
         `verbatim rebuild --new-keys` with the same options to go on without all that was written"
    );
    Ok(())
}
