//! Idle sockets of people who are authenticated: what each costs in memory, and how fast they are opened;
//! beside bare sockets.

use std::time::Duration;

use super::Run;
use crate::bare::Bare;
use crate::deployment::Deployment;
use crate::figures::{Aim, Row};
use crate::load::{Outcome, Pace, Plan, to_f64};
use crate::processes;
use crate::protocol::Protocol;

/// Members of each conversation: nobody is alone.
const MEMBERS: usize = 10;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let sizes: &[usize] = if run.is_quick { &[500] } else { &[1_000, 9_000] };
    let mut rows = Vec::new();
    for size in sizes {
        let mut memory = Row::new(format!("KiB of each of {size} idle sockets"), Aim::Below(12.0));
        let mut rate = Row::new(format!("sockets opened/s, up to {size}"), Aim::Part(1.0 / 1.2));
        for _ in 0..run.times() {
            let mut deployment = Deployment::start(run.mode).await;
            let mut plan = Plan {
                servers: vec![deployment.node.address().to_owned()],
                protocol: Protocol::Verbatim,
                secret: deployment.node.folder.secret(),
                rooms: deployment.rooms(size / MEMBERS, MEMBERS, 0).await,
                pace: Pace::InFlight(0),
                warm_up: 1.0,
                seconds: 2.0,
            };
            deployment.node.settled().await;
            let pid = deployment.node.process().id();
            let (kib, outcome) = grown(pid, &plan).await?;
            memory.ours.push(kib / to_f64(*size as u64));
            rate.ours.push(outcome.opened_per_second);
            drop(deployment);
            let bare = Bare::start(0).await?;
            plan.servers = vec![bare.address.clone()];
            let (kib, outcome) = grown(bare.id(), &plan).await?;
            memory.baseline.push(kib / to_f64(*size as u64));
            rate.baseline.push(outcome.opened_per_second);
        }
        rows.extend([memory, rate]);
    }
    Ok(rows)
}

/// By how much a process has grown when all sockets stand, in KiB.
pub(super) async fn grown(pid: u32, plan: &Plan) -> anyhow::Result<(f64, Outcome)> {
    let before = processes::rss_kib(pid);
    let mut last = before;
    let mut carrying_out = std::pin::pin!(plan.carry_out());
    loop {
        tokio::select! {
            outcome = &mut carrying_out => return Ok((last - before, outcome?)),
            () = tokio::time::sleep(Duration::from_millis(100)) => last = processes::rss_kib(pid).max(last),
        }
    }
}
