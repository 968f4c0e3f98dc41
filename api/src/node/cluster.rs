//! The stations of a node of a cluster: the log on NATS, the read models and keys in Postgres.

use std::sync::Arc;

use anyhow::Context;
use async_nats::Client;
use async_trait::async_trait;
use eventstore::jetstream::lease::JetStreamLeases;
use eventstore::jetstream::roll_call::JetStreamRollCall;
use eventstore::jetstream::signals::JetStreamSignals;
use eventstore::jetstream::{JetStreamConfig, JetStreamLog, connect_options};
use eventstore::postgres::Database;
use eventstore::sealing::KeyStore;
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
    let url = cluster
        .database
        .as_ref()
        .context("a cluster needs a database: --database")?
        .as_str();
    let master_key = cluster
        .master_key
        .as_ref()
        .context("a cluster needs a master key for the users' keys: --master-key")?;
    let namespace = cluster.namespace.as_str();
    // Both are there before anything is made in either.
    let database = Database::parse(url, namespace)?;
    let (examined, config) = tokio::join!(database.examine(), log_config(cluster));
    let config = config?;
    examined?;
    let log = JetStreamLog::open(config)
        .await
        .with_context(|| no_log(cluster))?;
    let in_postgres = |what: &str| format!("the {what} cannot be opened in Postgres at {}", database.place());
    // In this order: whoever writes to a log has made its keys before.
    let log_is_new = is_new(&log).await?;
    let there_are_keys = PostgresKeys::exist(url, namespace)
        .await
        .with_context(|| in_postgres("keys"))?;
    require_keys(log_is_new, there_are_keys, expected)?;
    let keys = PostgresKeys::open(url, namespace, &master_key.0, KEY_READERS)
        .await
        .with_context(|| in_postgres("keys"))?;
    keys.adopt().await?;
    let keys = Arc::new(keys);
    let read_model = PostgresReadModel::open(&PostgresConfig {
        url: url.to_owned(),
        namespace: namespace.to_owned(),
        readers: READERS,
        writers: WRITERS,
    })
    .await
    .with_context(|| in_postgres("read models"))?;
    let read_model = Arc::new(read_model);
    Ok(Parts {
        stores: Arc::new(InPostgres {
            read_model: Arc::clone(&read_model),
            keys: Arc::clone(&keys),
        }),
        leases: Arc::new(JetStreamLeases::new(&log).of_node(folder.node_id()?)),
        signals: Arc::new(JetStreamSignals::new(&log)),
        codec: Codec::new(keys).over(Arc::new(log.clone())),
        roll_call: Arc::new(JetStreamRollCall::new(&log)),
        read_model,
        live: Arc::new(log.clone()),
        log: Arc::new(log),
    })
}

/// Gives the log a new epoch.
pub(super) async fn renew_epoch(cluster: &Cluster) -> anyhow::Result<Epoch> {
    JetStreamLog::renew_epoch(log_config(cluster).await?)
        .await
        .with_context(|| no_log(cluster))
}

fn no_log(cluster: &Cluster) -> String {
    let servers = cluster.nats.as_ref().map(ToString::to_string);
    format!(
        "the event log cannot be opened on NATS at {}",
        servers.unwrap_or_default()
    )
}

async fn log_config(cluster: &Cluster) -> anyhow::Result<JetStreamConfig> {
    Ok(JetStreamConfig {
        client: connect(cluster).await?,
        namespace: cluster.namespace.to_string(),
        shards: cluster.shards,
        replicas: cluster.replicas,
    })
}

async fn connect(cluster: &Cluster) -> anyhow::Result<Client> {
    let servers = cluster.nats.as_ref().context("a cluster needs NATS: --nats")?;
    let mut options = connect_options().name("verbatim");
    if let Some(file) = &cluster.nats_credentials {
        options = options
            .credentials_file(file)
            .await
            .with_context(|| format!("the NATS credentials {} cannot be read", file.display()))?;
    }
    // Who names certificates means TLS, whatever the servers offer.
    if let Some(file) = &cluster.nats_ca {
        options = options.add_root_certificates(file.clone()).require_tls(true);
    }
    if let (Some(certificate), Some(key)) = (&cluster.nats_cert, &cluster.nats_key) {
        options = options
            .add_client_certificate(certificate.clone(), key.clone())
            .require_tls(true);
    }
    Ok(servers.connect(options).await?)
}

/// What is kept in Postgres.
struct InPostgres {
    read_model: Arc<PostgresReadModel>,
    keys: Arc<PostgresKeys>,
}

#[async_trait]
impl Stores for InPostgres {
    fn health(&self) -> Result<(), String> {
        self.read_model.health()
    }

    fn are_keys_lost(&self) -> bool {
        self.keys.are_lost()
    }

    async fn close(&self) {
        tokio::join!(self.read_model.close(), self.keys.close());
    }
}
