//! Reading the log: events decoded and unsealed, as a projector or an analyst's replay does it; beside a bare select
//! over the log's table, or bare ordered consumers of its streams. Once in the records that an import makes, with
//! hundreds of events each, and once in the records that sends make, with an event each.

use anyhow::{Context, ensure};
use domain::CommitId;
use eventstore::codec::{Draft, assemble};
use eventstore::log::{Append, Expected};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::Run;
use crate::deployment::{Deployment, Place};
use crate::figures::{Aim, Row};
use crate::load::to_f64;
use crate::log_reader::{self, Outcome, Reading};
use crate::seed::Seed;

/// As many as are imported at once.
const CONVERSATIONS: usize = 16;
/// The part of the events that is written again, a record each.
const PART: usize = 10;
/// Records of an import that are taken apart in one go, and appends on their way at once.
const PAGE: usize = 16;
const APPENDS: usize = 1_000;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let seed = Seed::of(run.messages(), CONVERSATIONS);
    let (mut deployment, _) = Deployment::start_with(run.mode, seed).await?;
    deployment.node.terminate().await;
    let imported = deployment.place();
    let sent = beside(&deployment)?;
    take_apart(&imported, &sent, run.messages() / PART).await?;
    let mut rows = Vec::new();
    for (how, place) in [("in records of an import", imported), ("in a record each", sent)] {
        let mut row = Row::new(format!("events/s decoded and unsealed, {how}"), Aim::Part(0.5));
        for _ in 0..run.times() {
            let ours = Reading::Decoded(place.clone()).carry_out().await?;
            let bare = Reading::Bare(place.clone()).carry_out().await?;
            let all = |outcome: &Outcome| (outcome.records, outcome.bytes);
            ensure!(
                all(&ours) == all(&bare) && ours.erased == 0,
                "not everything was read: {ours:?}, {bare:?}"
            );
            row.ours.push(to_f64(ours.events) / ours.seconds);
            row.baseline.push(to_f64(ours.events) / bare.seconds);
            row.note("events", to_f64(ours.events));
            row.note("bytes per event", to_f64(ours.bytes) / to_f64(ours.events));
            row.note("CPU s", ours.cpu);
            row.note("CPU s, bare", bare.cpu);
            row.note("MiB at most", ours.peak_kib / 1024.0);
            row.note("MiB at most, bare", bare.peak_kib / 1024.0);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Where another log can be made.
fn beside(deployment: &Deployment) -> anyhow::Result<Place> {
    Ok(match deployment.place() {
        Place::Folder(_) => {
            let folder = deployment.node.folder.scratch().join("sent");
            std::fs::create_dir(&folder)?;
            Place::Folder(folder)
        }
        Place::Servers { nats, database, .. } => Place::Servers {
            nats,
            database,
            namespace: "Sent".to_owned(),
        },
    })
}

/// Writes so many events of a log into a new one, each sealed anew and a record of its own.
async fn take_apart(from: &Place, to: &Place, mut wanted: usize) -> anyhow::Result<()> {
    let (from, codec) = log_reader::open(from).await?;
    let (to, sealing) = log_reader::open(to).await?;
    for shard in 0..from.shards() {
        let mut after = 0;
        while wanted > 0 {
            let page = from.read(shard, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            let mut appends = Vec::new();
            for commit in codec.decode(&page).await? {
                for recorded in commit.events {
                    let id = CommitId::from_bytes(recorded.id.to_bytes());
                    let draft = Draft {
                        version: recorded.version,
                        actor: recorded.actor,
                        command: recorded.command,
                        trace: recorded.trace,
                        event: recorded.event,
                    };
                    let encoded = sealing.encode(commit.stream.tenant(), id, 0, &[draft]).await?;
                    appends.push(Append {
                        stream: commit.stream.clone(),
                        expected: Expected::Any,
                        commit_id: id,
                        payload: assemble(id, commit.time, &encoded),
                    });
                }
            }
            appends.truncate(wanted);
            wanted -= appends.len();
            stream::iter(appends)
                .map(|append| to.append(append))
                .buffer_unordered(APPENDS)
                .try_for_each(async |_| Ok(()))
                .await
                .context("an append")?;
        }
    }
    Ok(())
}
