//! Uploads of 10 MB, one after another; beside a bare handler that writes the same bytes to a file and syncs it. And
//! what they leave of the node's memory: it must not grow with them.

use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use tests::bucket::Bucket;

use super::Run;
use crate::bare::Bare;
use crate::deployment::{Deployment, Mode};
use crate::figures::{Aim, Row};
use crate::latencies::{Latencies, Summary};
use crate::processes::{peak_kib, rss_kib};

const BYTES: usize = 10_000_000;
/// Before it counts.
const WARM_UP: usize = 3;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let mut row = Row::new("upload of 10 MB p50, ms", Aim::Below(1_000.0));
    let mut memory = Row::new(
        "memory of the node after uploads, MiB more than before",
        Aim::Below(16.0),
    );
    // Bytes that are no picture: what is measured is the way they go.
    let body: Bytes = (0..BYTES).map(|n| (n * n % 249) as u8).collect::<Vec<_>>().into();
    for _ in 0..run.times() {
        let mut deployment = Deployment::start(run.mode).await;
        let bucket = match run.mode {
            Mode::Embedded => None,
            Mode::Cluster => Some(Bucket::start().await),
        };
        if let Some(bucket) = &bucket {
            deployment.node.folder.variables = bucket.variables();
            // It lets go of its leases, which the next one would have to wait for.
            deployment.node.terminate().await;
            deployment.node.restart().await;
        }
        let token = deployment.node.folder.token("ann");
        let address = deployment.node.address().to_owned();
        upload(&address, &token, &body, WARM_UP, 0.0).await?;
        let node = deployment.node.process().id();
        let before = rss_kib(node);
        let ours = upload(&address, &token, &body, WARM_UP, run.seconds()).await?;
        let after = rss_kib(node);
        row.ours.push(ours.p50);
        row.note("p99 ms", ours.p99);
        row.note("uploads", crate::load::to_f64(ours.count));
        memory.ours.push((after - before).max(0.0) / 1024.0);
        memory.note("MiB before", before / 1024.0);
        memory.note("MiB at most", peak_kib(node) / 1024.0);
        drop(deployment);
        let folder = tempfile::tempdir()?;
        let bare = Bare::taking_files(folder.path()).await?;
        upload(&bare.address, &token, &body, WARM_UP, 0.0).await?;
        let theirs = upload(&bare.address, &token, &body, WARM_UP, run.seconds()).await?;
        row.baseline.push(theirs.p50);
    }
    Ok(vec![row, memory])
}

/// Uploads one after another for so long, and at the least so many.
async fn upload(
    server: &str,
    token: &str,
    body: &Bytes,
    least: usize,
    seconds: f64,
) -> anyhow::Result<Summary> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut latencies = Latencies::default();
    let mut count = 0;
    while count < least || Instant::now() < until {
        let begun = Instant::now();
        let answer = client
            .post(format!("http://{server}/attachments"))
            .bearer_auth(token)
            .body(body.clone())
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status == 201, "an upload was answered by {status}: {text}");
        latencies.record(begun.elapsed());
        count += 1;
    }
    Ok(latencies.summary())
}
