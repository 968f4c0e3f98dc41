//! The stations of an embedded node, composed: the one place that names concrete adapters.

use std::sync::Arc;

use anyhow::Context;
use domain::user::User;
use eventstore::embedded::EmbeddedLog;
use eventstore::execute::{Conversations, Executor, Ports, ReadMarks};
use eventstore::sealing::sqlite::SqliteKeys;
use eventstore::{Codec, EventLog, Position, Progress};
use projections::{Projector, ProjectorStatus, SqliteReadModel};
use search_indexer::{Indexer, SearchIndex, Status};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Health, ProfileCache, now};
use crate::auth::Authenticator;
use crate::consistency::Consistency;
use crate::folder::Folder;
use crate::realtime::{Hub, Starting};

/// Records that the read models may be behind before commands wait for them.
const MAX_LAG: u64 = 50_000;
/// What to do about read models and an index of another log.
const FOREIGN: &str = "the read models are not of this log; if the log was restored from a backup, run \
                       `verbatim rebuild --new-epoch` with the same data folder";

/// An embedded node: log, keys, read models and search index in one data folder, with the projector and
/// the indexer running.
pub struct Node {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// Writes and reads commits.
    pub codec: Codec,
    /// Carries out the commands of conversations.
    pub conversations: Arc<Conversations>,
    users: Arc<Executor<User>>,
    read_model: Arc<SqliteReadModel>,
    projector: Projector,
    search: SearchIndex,
    indexer: Arc<Indexer>,
    projecting: JoinHandle<()>,
    stopping: CancellationToken,
    // Dropped last: while anything of the node lives, no other process has the folder.
    _folder: Folder,
}

impl Node {
    /// Opens the data folder and starts its stations.
    ///
    /// # Errors
    /// Whatever keeps a station from starting; read models of another log among it.
    pub async fn start(folder: Folder) -> anyhow::Result<Self> {
        let log: Arc<dyn EventLog> = Arc::new(
            EmbeddedLog::open(&folder.log())
                .await
                .context("the event log cannot be opened")?,
        );
        let keys = SqliteKeys::open(&folder.keys())
            .await
            .context("the keys cannot be opened")?;
        let codec = Codec::new(Arc::new(keys));
        let read_model = SqliteReadModel::open(&folder.read_model()).await;
        let read_model = Arc::new(read_model.context("the read models cannot be opened")?);

        let projector = Projector::new(Arc::clone(&log), codec.clone(), read_model.clone());
        projector.verify().await.context(FOREIGN)?;
        let stopping = CancellationToken::new();
        let search = SearchIndex::open(&folder.search()).context("the search index cannot be opened")?;
        let indexer = Indexer::start(
            search.clone(),
            Arc::clone(&log),
            codec.clone(),
            stopping.child_token(),
        )
        .await
        .context(FOREIGN)?;
        let running = projector.clone();
        let cancel = stopping.child_token();
        let projecting = tokio::spawn(async move { running.run(cancel).await });

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
            read_model,
            projector,
            search,
            indexer: Arc::new(indexer),
            projecting,
            stopping,
            _folder: folder,
        })
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
    pub async fn app(&self, authenticator: Authenticator) -> anyhow::Result<Arc<App>> {
        let hub = Hub::start(Starting {
            log: Arc::clone(&self.log),
            codec: self.codec.clone(),
            cancel: self.stopping.child_token(),
        })
        .await?;
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
            .set_buckets(&[
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
            ])?
            .install_recorder()?;
        Ok(Arc::new(App {
            authenticator,
            log: Arc::clone(&self.log),
            codec: self.codec.clone(),
            conversations: Arc::clone(&self.conversations),
            users: Arc::clone(&self.users),
            reads: ReadMarks::new(Arc::clone(&self.conversations)),
            read_model: self.read_model.clone(),
            consistency: Consistency::new(self.projected(), self.ends().await?),
            search: self.search.clone(),
            stations: self.stations(&hub),
            hub,
            projected: self.projected(),
            indexed: self.indexer.progress().clone(),
            metrics,
            stopping: self.stopping.clone(),
            profiles: ProfileCache::default(),
        }))
    }

    fn stations(&self, hub: &Hub) -> Vec<(&'static str, Health)> {
        let statuses = self.projector.statuses();
        let indexer = Arc::clone(&self.indexer);
        let hub = hub.clone();
        vec![
            (
                "read_models",
                Box::new(move || match statuses.worst() {
                    ProjectorStatus::Running => Ok(()),
                    ProjectorStatus::Retrying { reason } | ProjectorStatus::Stopped { reason } => Err(reason),
                }),
            ),
            (
                "search",
                Box::new(move || match indexer.status() {
                    Status::Running => Ok(()),
                    Status::Retrying { reason } | Status::Stopped { reason } => Err(reason),
                }),
            ),
            ("live", Box::new(move || hub.health())),
        ]
    }

    /// Is cancelled when the node is to stop.
    #[must_use]
    pub const fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Stops the stations. What was acknowledged is in the log already; what the read models and the
    /// index have not taken in yet, they take in at the next start.
    pub async fn stop(self) {
        self.stopping.cancel();
        if let Err(error) = self.projecting.await {
            tracing::error!(%error, "the projector ended badly");
        }
        let stopped = self.indexer.stopped().await;
        tracing::debug!(reason = %stopped.reason, "the indexer has ended");
        if let Err(error) = self.read_model.close().await {
            tracing::warn!(%error, "the read models were not closed cleanly");
        }
    }
}
