//! Reads over HTTP by sixteen clients on open connections; beside a bare server that answers the same requests with
//! the same JSON, but for what the node tells beyond it, out of the same database.

use anyhow::ensure;
use serde_json::Value;

use super::Run;
use crate::bare::Bare;
use crate::deployment::Deployment;
use crate::figures::{Aim, Row};
use crate::processes;
use crate::requests::Requests;

const CLIENTS: usize = 16;

/// Measures what one user reads.
pub(super) async fn compare(
    run: Run,
    deployment: &mut Deployment,
    (what, user): (&str, &str),
    paths: Vec<String>,
) -> anyhow::Result<Row> {
    let bare = Bare::of_reads(&deployment.place(), user).await?;
    let requests = requests(run, deployment, user, paths);
    let to_bare = requests.to(&bare.address);
    let path = &requests.paths[0];
    let (ours, baseline) = (requests.once(path).await?, to_bare.once(path).await?);
    ensure!(has_all(&ours, &baseline), "other answers: {ours:#}\n{baseline:#}");
    let row = Row::new(what, Aim::Part(0.6));
    beside(run, deployment, &bare, &requests, row).await
}

/// Whether an answer has all that the bare one has. The node tells more of each: reactions, files, what a message
/// answers, the reader's role.
fn has_all(ours: &Value, bare: &Value) -> bool {
    match (ours, bare) {
        (Value::Object(ours), Value::Object(bare)) => bare
            .iter()
            .all(|(name, value)| ours.get(name).is_some_and(|own| has_all(own, value))),
        (Value::Array(ours), Value::Array(bare)) => {
            ours.len() == bare.len() && ours.iter().zip(bare).all(|(ours, bare)| has_all(ours, bare))
        }
        (ours, bare) => ours == bare,
    }
}

/// What sixteen clients of one user ask for.
pub(super) fn requests(run: Run, deployment: &Deployment, user: &str, paths: Vec<String>) -> Requests {
    Requests {
        server: deployment.node.address().to_owned(),
        token: deployment.node.folder.token(user),
        paths,
        clients: CLIENTS,
        per_second: None,
        warm_up: 0.5,
        seconds: run.seconds(),
    }
}

/// Measures how many of these a node answers a second, in turns with a bare server.
pub(super) async fn beside(
    run: Run,
    deployment: &mut Deployment,
    bare: &Bare,
    requests: &Requests,
    mut row: Row,
) -> anyhow::Result<Row> {
    let to_bare = requests.to(&bare.address);
    for _ in 0..run.times() {
        let before = deployment.cpu();
        let ours = requests.carry_out().await?;
        for (name, seconds) in deployment.cpu().since(before) {
            row.note(name, seconds);
        }
        row.note("CPU s of the clients", ours.cpu);
        row.note("p50 ms", ours.latencies.p50);
        row.note("p99 ms", ours.latencies.p99);
        row.note("max ms", ours.latencies.max);
        let node = deployment.node.process().id();
        row.note("MiB of the node", processes::rss_kib(node) / 1024.0);
        row.ours.push(ours.per_second);

        let (of_bare, before) = (processes::cpu_seconds(bare.id()), deployment.cpu());
        let baseline = to_bare.carry_out().await?;
        for (name, seconds) in deployment.cpu().since(before) {
            row.note(format!("{name}, bare"), seconds);
        }
        row.note("CPU s, bare", processes::cpu_seconds(bare.id()) - of_bare);
        row.note("p50 ms, bare", baseline.latencies.p50);
        row.note("p99 ms, bare", baseline.latencies.p99);
        row.note("max ms, bare", baseline.latencies.max);
        row.note("MiB, bare", processes::rss_kib(bare.id()) / 1024.0);
        row.baseline.push(baseline.per_second);
    }
    Ok(row)
}
