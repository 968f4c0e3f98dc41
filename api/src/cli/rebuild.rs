//! `verbatim rebuild`.

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
    let progress = Progress::new(log.shards());

    let began = Instant::now();
    projections::rebuild(&*read_model, &log, &codec, &progress).await?;
    say(format_args!(
        "read models rebuilt in {:.1} s",
        began.elapsed().as_secs_f64()
    ));

    let began = Instant::now();
    let progress = Progress::new(log.shards());
    let rebuilt =
        search_indexer::rebuild(&folder.search(), log, codec, progress, CancellationToken::new()).await?;
    let seconds = began.elapsed().as_secs_f64();
    say(format_args!(
        "search index rebuilt in {seconds:.1} s: {} messages",
        rebuilt.messages
    ));
    stores.close().await;
    Ok(())
}
