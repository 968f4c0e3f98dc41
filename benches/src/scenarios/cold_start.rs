//! Cold starts: a node of a million messages, all in one conversation, from its start to ready, and the first send
//! in that conversation. After it was stopped, and after it was killed right behind a hundred sends. The files are in
//! the memory of the operating system.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::join_all;
use tests::server::address_in;
use tests::{Client, Folder, Process};

use super::Run;
use crate::deployment::Deployment;
use crate::figures::{Aim, Row};
use crate::load::Room;
use crate::processes;
use crate::seed::Seed;

/// Sends at once, before the node ends.
const SENDS: usize = 100;
/// How often a node that starts is looked at.
const LOOK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let seed = Seed::of(run.messages(), 1);
    let (mut deployment, rooms) = Deployment::start_with(run.mode, seed).await?;
    deployment.node.settled().await;
    deployment.node.terminate().await;
    let folder = &deployment.node.folder;
    let row = |what: &str, how: &str, most| Row::new(format!("{what} {how}"), Aim::Below(most));
    let mut rows = Vec::new();
    for how in ["after a stop", "after a kill"] {
        rows.push(row("s from start to ready,", how, 1.0));
        rows.push(row("ms of the first send", how, 50.0));
    }
    let mut node = Node::start(folder).await?;
    for _ in 0..run.times() {
        for (rows, is_killed) in rows.chunks_mut(2).zip([false, true]) {
            let client = node.client(folder, &rooms[0]);
            join_all((0..SENDS).map(|_| client.say(&rooms[0].id, "one of many"))).await;
            node.end(is_killed).await;
            node = Node::start(folder).await?;
            rows[0].ours.push(node.ready_after.as_secs_f64());
            rows[0].note("CPU s until ready", processes::cpu_seconds(node.process.id()));
            rows[0].note("MiB when ready", processes::rss_kib(node.process.id()) / 1024.0);
            let client = node.client(folder, &rooms[0]);
            let began = Instant::now();
            client.say(&rooms[0].id, "the first one").await;
            rows[1].ours.push(began.elapsed().as_secs_f64() * 1_000.0);
            rows[1].note("MiB behind it", processes::rss_kib(node.process.id()) / 1024.0);
        }
    }
    Ok(rows)
}

/// A node that is ready.
pub(super) struct Node {
    process: Process,
    address: String,
    /// How long it took.
    pub(super) ready_after: Duration,
}

impl Node {
    /// Starts one on this folder, which no other has.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) async fn start(folder: &Folder) -> anyhow::Result<Self> {
        let began = Instant::now();
        let mut process = folder.spawn_server();
        let mut nobody: Option<(String, Client)> = None;
        loop {
            if let Some((address, client)) = &nobody {
                let answer = client.get("/ready").try_send().await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return Ok(Self {
                        address: address.clone(),
                        ready_after: began.elapsed(),
                        process,
                    });
                }
            } else {
                let address = address_in(&process.stdout());
                nobody = address.map(|address| (address.clone(), Client::new(&address, None)));
            }
            let waits = process.is_running() && began.elapsed() < PATIENCE;
            ensure!(waits, "the node did not start: {}", process.stderr());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Someone who writes there.
    fn client(&self, folder: &Folder, room: &Room) -> Client {
        Client::new(&self.address, Some(&folder.token(&room.members[0])))
    }

    /// Stops it, or kills it.
    pub(super) async fn end(mut self, is_killed: bool) {
        if is_killed {
            self.process.kill();
        } else {
            self.process.terminate();
            self.process.wait().await.succeeded();
        }
    }
}
