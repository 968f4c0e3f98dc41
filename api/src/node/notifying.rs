//! Where what goes out is kept: a file of its own, or a schema of its own.

use std::sync::Arc;

use anyhow::Context;

use crate::config::Deployment;
use crate::effects::store::{EffectStore, PostgresEffects, SqliteEffects};
use crate::folder::Folder;

/// Connections of a node's own; commands need one.
const CONNECTIONS: u32 = 4;
/// The file in the data folder.
const FILE: &str = "effects.db";

/// Opens the store of a node, and makes it when it is missing.
pub(super) async fn open(deployment: &Deployment, folder: &Folder) -> anyhow::Result<Arc<dyn EffectStore>> {
    if deployment.is_cluster() {
        return in_postgres(deployment, CONNECTIONS).await;
    }
    let file = folder.path().join(FILE);
    let store = SqliteEffects::open(&file).await;
    Ok(Arc::new(store.context("the notifications cannot be opened")?))
}

/// Opens the store of a deployment beside the nodes that run.
///
/// # Errors
/// When nothing was ever notified there, or the store is away.
pub async fn open_effects(deployment: &Deployment) -> anyhow::Result<Arc<dyn EffectStore>> {
    if deployment.is_cluster() {
        return in_postgres(deployment, 1).await;
    }
    let file = deployment.data.data.join(FILE);
    anyhow::ensure!(
        file.exists(),
        "there are no notifications in {}",
        deployment.data.data.display()
    );
    let store = SqliteEffects::open(&file).await;
    Ok(Arc::new(store.context("the notifications cannot be opened")?))
}

async fn in_postgres(deployment: &Deployment, connections: u32) -> anyhow::Result<Arc<dyn EffectStore>> {
    let cluster = &deployment.cluster;
    let database = cluster
        .database
        .as_ref()
        .context("a cluster needs a database: --database")?;
    let store = PostgresEffects::open(database.as_str(), cluster.namespace.as_str(), connections).await;
    Ok(Arc::new(
        store.context("the notifications cannot be opened in Postgres")?,
    ))
}
