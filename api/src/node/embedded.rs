//! The stations of an embedded node: all of them in its data folder.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use eventstore::Codec;
use eventstore::embedded::EmbeddedLog;
use eventstore::lease::InProcessLeases;
use eventstore::roll_call::InProcessRollCall;
use eventstore::sealing::sqlite::SqliteKeys;
use eventstore::signals::InProcessSignals;
use projections::SqliteReadModel;

use super::{Keys, Parts, Stores, is_new, require_keys};
use crate::folder::Folder;

/// The files of a node.
struct Files {
    log: Arc<EmbeddedLog>,
    keys: SqliteKeys,
    read_model: Arc<SqliteReadModel>,
}

/// Opens everything below the data folder, making what is missing.
pub(super) async fn open(folder: &Folder, expected: Keys) -> anyhow::Result<Parts> {
    let log = EmbeddedLog::open(&folder.log())
        .await
        .context("the event log cannot be opened")?;
    let log = Arc::new(log);
    let keys = SqliteKeys::open(&folder.keys())
        .await
        .context("the keys cannot be opened")?;
    require_keys(is_new(&*log).await?, !keys.are_new().await?, expected)?;
    keys.adopt().await?;
    let read_model = SqliteReadModel::open(&folder.read_model())
        .await
        .context("the read models cannot be opened")?;
    let read_model = Arc::new(read_model);
    Ok(Parts {
        stores: Arc::new(Files {
            log: Arc::clone(&log),
            keys: keys.clone(),
            read_model: Arc::clone(&read_model),
        }),
        log: log.clone(),
        leases: Arc::new(InProcessLeases::default()),
        signals: Arc::new(InProcessSignals::default()),
        codec: Codec::new(Arc::new(keys)).over(log.clone()),
        live: log,
        roll_call: Arc::new(InProcessRollCall::default()),
        read_model,
    })
}

#[async_trait]
impl Stores for Files {
    fn health(&self) -> Result<(), String> {
        // What goes wrong with a file, whoever uses it says.
        Ok(())
    }

    async fn close(&self) {
        if let Err(error) = self.read_model.close().await {
            tracing::warn!(%error, "the read models were not closed cleanly");
        }
        self.log.close().await;
        self.keys.close().await;
    }
}

/// Gives the log a new epoch.
pub(super) async fn renew_epoch(folder: &Folder) -> anyhow::Result<eventstore::Epoch> {
    anyhow::ensure!(
        folder.log().exists(),
        "there is no log in {}",
        folder.path().display()
    );
    Ok(EmbeddedLog::renew_epoch(&folder.log()).await?)
}
