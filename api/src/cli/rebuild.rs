//! `verbatim rebuild`.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use eventstore::embedded::EmbeddedLog;
use eventstore::sealing::sqlite::SqliteKeys;
use eventstore::{Codec, EventLog, Progress};
use projections::SqliteReadModel;
use tokio_util::sync::CancellationToken;

use super::{QUIET, say, start_logging};
use crate::config::Rebuild;
use crate::folder::Folder;

pub(super) async fn run(options: Rebuild) -> anyhow::Result<()> {
    start_logging(QUIET)?;
    let folder = Folder::open(&options.data.data)?;
    anyhow::ensure!(
        folder.log().exists(),
        "there is no log in {}",
        folder.path().display()
    );
    if options.new_epoch {
        let epoch = EmbeddedLog::renew_epoch(&folder.log()).await?;
        say(format_args!("the log has the new epoch {epoch}"));
    }
    let log: Arc<dyn EventLog> = Arc::new(
        EmbeddedLog::open(&folder.log())
            .await
            .context("the event log cannot be opened")?,
    );
    let keys = SqliteKeys::open(&folder.keys())
        .await
        .context("the keys cannot be opened")?;
    let codec = Codec::new(Arc::new(keys));
    let progress = Progress::new(log.shards());

    let began = Instant::now();
    let read_model = SqliteReadModel::open(&folder.read_model()).await?;
    projections::rebuild(&read_model, &log, &codec, &progress).await?;
    read_model.close().await?;
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
    Ok(())
}
