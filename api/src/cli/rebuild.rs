//! `verbatim rebuild`.

use std::sync::Arc;
use std::time::Instant;

use eventstore::Progress;
use tokio_util::sync::CancellationToken;

use super::{QUIET, say, start_logging};
use crate::config::Rebuild;
use crate::folder::Folder;
use crate::node::{self, Keys, Parts};

pub(super) async fn run(options: Rebuild) -> anyhow::Result<()> {
    start_logging(QUIET)?;
    let deployment = &options.deployment;
    let data = &deployment.data.data;
    anyhow::ensure!(
        deployment.is_cluster() || data.join("log.db").exists(),
        "there is no log in {}",
        data.display()
    );
    let folder = Folder::open(data)?;
    if options.new_epoch {
        let epoch = node::renew_epoch(deployment, &folder).await?;
        say(format_args!("the log has the new epoch {epoch}"));
    }
    let keys = if options.new_keys {
        Keys::Lost
    } else {
        Keys::Expected
    };
    let Parts {
        log,
        codec,
        read_model,
        stores,
        ..
    } = Parts::open(deployment, &folder, keys).await?;

    let began = Instant::now();
    let cancel = CancellationToken::new();
    let read_models = async {
        let progress = Progress::new(log.shards());
        let rebuilt = projections::rebuild(&*read_model, &log, &codec, &progress).await;
        match &rebuilt {
            Ok(()) => say(format_args!(
                "read models rebuilt in {:.1} s",
                began.elapsed().as_secs_f64()
            )),
            Err(_) => cancel.cancel(),
        }
        rebuilt
    };
    let path = folder.search();
    let index = search_indexer::rebuild(
        &path,
        Arc::clone(&log),
        codec.clone(),
        Progress::new(log.shards()),
        cancel.clone(),
    );
    // Neither keeps all processors busy.
    let (read_models, index) = tokio::join!(read_models, index);
    read_models?;
    let messages = index?.messages;
    say(format_args!(
        "search index rebuilt in {:.1} s: {messages} messages",
        began.elapsed().as_secs_f64()
    ));
    stores.close().await;
    Ok(())
}
