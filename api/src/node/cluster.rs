//! The stations of a node of a cluster: the log on NATS, the read models and keys in Postgres.

use std::sync::Arc;

use anyhow::Context;
use async_nats::Client;
use async_trait::async_trait;
use eventstore::jetstream::lease::JetStreamLeases;
use eventstore::jetstream::signals::JetStreamSignals;
use eventstore::jetstream::{JetStreamConfig, JetStreamLog, connect_options};
use eventstore::sealing::postgres::PostgresKeys;
use eventstore::{Codec, Epoch};
use projections::{PostgresConfig, PostgresReadModel};

use super::{Keys, Parts, Stores, is_new, require_keys};
use crate::config::Cluster;
use crate::folder::Folder;

/// Connections for what people read, and for what projectors write.
const READERS: u32 = 16;
const WRITERS: u32 = 8;
const KEY_READERS: u32 = 4;

/// Connects to everything that this deployment stands on, making what is missing.
pub(super) async fn open(cluster: &Cluster, folder: &Folder, expected: Keys) -> anyhow::Result<Parts> {
    let database = cluster
        .database
        .as_deref()
        .context("a cluster needs a database: --database")?;
    let master_key = cluster
        .master_key
        .as_ref()
        .context("a cluster needs a master key for the users' keys: --master-key")?;
    let log = JetStreamLog::open(log_config(cluster).await?)
        .await
        .context("the event log cannot be opened")?;
    // In this order: whoever writes to a log has made its keys before.
    let log_is_new = is_new(&log).await?;
    let there_are_keys = PostgresKeys::exist(database, &cluster.namespace)
        .await
        .context("the keys cannot be opened")?;
    require_keys(log_is_new, there_are_keys, expected)?;
    let keys = PostgresKeys::open(database, &cluster.namespace, &master_key.0, KEY_READERS)
        .await
        .context("the keys cannot be opened")?;
    keys.adopt().await?;
    let read_model = PostgresReadModel::open(&PostgresConfig {
        url: database.to_owned(),
        namespace: cluster.namespace.clone(),
        readers: READERS,
        writers: WRITERS,
    })
    .await
    .context("the read models cannot be opened")?;
    let read_model = Arc::new(read_model);
    Ok(Parts {
        stores: read_model.clone(),
        leases: Arc::new(JetStreamLeases::new(&log).of_node(folder.node_id()?)),
        signals: Arc::new(JetStreamSignals::new(&log)),
        codec: Codec::new(Arc::new(keys)),
        read_model,
        live: Arc::new(log.clone()),
        log: Arc::new(log),
    })
}

/// Gives the log a new epoch.
pub(super) async fn renew_epoch(cluster: &Cluster) -> anyhow::Result<Epoch> {
    Ok(JetStreamLog::renew_epoch(log_config(cluster).await?).await?)
}

async fn log_config(cluster: &Cluster) -> anyhow::Result<JetStreamConfig> {
    Ok(JetStreamConfig {
        client: connect(cluster).await?,
        namespace: cluster.namespace.clone(),
        shards: cluster.shards,
        replicas: cluster.replicas,
    })
}

async fn connect(cluster: &Cluster) -> anyhow::Result<Client> {
    let urls = cluster.nats.as_deref().context("a cluster needs NATS: --nats")?;
    let mut options = connect_options().name("verbatim");
    if let Some(file) = &cluster.nats_credentials {
        options = options
            .credentials_file(file)
            .await
            .with_context(|| format!("the NATS credentials {} cannot be read", file.display()))?;
    }
    if let Some(file) = &cluster.nats_ca {
        options = options.add_root_certificates(file.clone());
    }
    if let (Some(certificate), Some(key)) = (&cluster.nats_cert, &cluster.nats_key) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    let servers: Vec<&str> = urls.split(',').map(str::trim).collect();
    options
        .connect(servers)
        .await
        .context("the NATS servers cannot be reached")
}

#[async_trait]
impl Stores for PostgresReadModel {
    fn health(&self) -> Result<(), String> {
        Self::health(self)
    }

    async fn close(&self) {
        Self::close(self).await;
    }
}
