//! `verbatim rebuild` of a million messages; beside a bare bulk insert of their rows into a table with the same
//! indices.

use std::time::Instant;

use anyhow::Context;

use super::Run;
use crate::deployment::{Deployment, PATIENCE};
use crate::figures::{Aim, Row};
use crate::load::to_f64;
use crate::processes;
use crate::seed::Seed;

mod bare;

/// As many as are imported at once.
const CONVERSATIONS: usize = 16;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let seed = Seed::of(run.messages(), CONVERSATIONS);
    let (mut deployment, _) = Deployment::start_with(run.mode, seed).await?;
    deployment.node.terminate().await;
    let rows_of_messages = bare::rows(&deployment.place()).await?;
    let messages = to_f64(seed.all_messages());
    let mut whole = Row::new("messages/s rebuilt, with the search index", Aim::Part(0.5));
    let mut read_models = Row::new("messages/s rebuilt, read models alone", Aim::Part(0.5));
    for _ in 0..run.times() {
        let before = deployment.cpu();
        let began = Instant::now();
        let process = deployment.node.folder.spawn(["rebuild"]);
        let (finished, cpu, peak) = processes::watch(process.id(), process.wait_for(PATIENCE)).await;
        whole.ours.push(messages / began.elapsed().as_secs_f64());
        let said = finished.succeeded().stdout;
        let of_read_models = seconds(&said, "read models rebuilt in ")?;
        read_models.ours.push(messages / of_read_models);
        whole.note("s of the read models", of_read_models);
        whole.note(
            "s of the search index",
            seconds(&said, "search index rebuilt in ")?,
        );
        whole.note("CPU s of the rebuild", cpu);
        whole.note("MiB of the rebuild at most", peak / 1024.0);
        for (name, seconds) in deployment.cpu().since(before) {
            whole.note(name, seconds);
        }
        let (itself, before) = (std::process::id(), deployment.cpu());
        let of_itself = processes::cpu_seconds(itself);
        let bare = messages / bare::insert(&deployment.place(), &rows_of_messages).await?;
        whole.note("CPU s, bare", processes::cpu_seconds(itself) - of_itself);
        for (name, seconds) in deployment.cpu().since(before) {
            whole.note(format!("{name}, bare"), seconds);
        }
        whole.baseline.push(bare);
        read_models.baseline.push(bare);
    }
    Ok(vec![whole, read_models])
}

/// How many seconds it said that a part took.
fn seconds(said: &str, part: &str) -> anyhow::Result<f64> {
    let rest = said.split_once(part).context("how long it took")?.1;
    Ok(rest.split(' ').next().unwrap_or_default().parse()?)
}
