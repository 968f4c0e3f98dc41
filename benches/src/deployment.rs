//! What is measured: a node in its data folder, or a node on NATS and Postgres, each a process.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use eventstore::contract::nats::NatsServer;
use eventstore::contract::postgres::PostgresServer;
use eventstore::embedded::EmbeddedLog;
use eventstore::jetstream::{JetStreamConfig, JetStreamLog};
use eventstore::{EventLog, Record};
use serde::{Deserialize, Serialize};
use tests::deployment::Cluster;
use tests::{Folder, TestServer};

use crate::load::Room;
use crate::processes;
use crate::seed::Seed;

/// How long an import or a rebuild of a million messages may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3_600);

/// What a node stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
pub(crate) enum Mode {
    /// A data folder.
    Embedded,
    /// NATS and Postgres.
    Cluster,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        })
    }
}

/// A node that runs, with everything beneath it.
pub(crate) struct Deployment {
    /// The node.
    pub(crate) node: TestServer,
    servers: Option<(NatsServer, PostgresServer)>,
}

/// Where a node keeps everything, for those who look there themselves.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Place {
    /// Files in this folder.
    Folder(PathBuf),
    /// NATS and Postgres.
    Servers {
        /// The URL of NATS.
        nats: String,
        /// The URL of the database.
        database: String,
        /// What everything is named with.
        namespace: String,
    },
}

/// CPU seconds so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    node: f64,
    nats: f64,
    postgres: f64,
}

impl Deployment {
    /// Starts one with nothing in it.
    pub(crate) async fn start(mode: Mode) -> Self {
        let (folder, servers) = Self::prepare(mode).await;
        let node = TestServer::start_on(folder).await;
        Self { node, servers }
    }

    /// Starts one that has taken this data in, and says which conversations there are.
    ///
    /// # Errors
    /// When the data cannot be written.
    pub(crate) async fn start_with(mode: Mode, seed: Seed) -> anyhow::Result<(Self, Vec<Room>)> {
        let (folder, servers) = Self::prepare(mode).await;
        let rooms = take_in(&folder, &[("room", seed)]).await?.concat();
        let node = TestServer::start_on(folder).await;
        Ok((Self { node, servers }, rooms))
    }

    /// Has the node take this data in too, each under its name, and says which conversations there are of each.
    ///
    /// # Errors
    /// When the data cannot be written.
    pub(crate) async fn take_in(&mut self, seeds: &[(&str, Seed)]) -> anyhow::Result<Vec<Vec<Room>>> {
        self.node.terminate().await;
        let rooms = take_in(&self.node.folder, seeds).await?;
        self.node.restart().await;
        Ok(rooms)
    }

    async fn prepare(mode: Mode) -> (Folder, Option<(NatsServer, PostgresServer)>) {
        let servers = match mode {
            Mode::Embedded => None,
            Mode::Cluster => Some(tokio::join!(NatsServer::start(), PostgresServer::start())),
        };
        let on = |(nats, postgres): &(NatsServer, PostgresServer)| Cluster::on(nats.url(), postgres.url());
        (Folder::of(servers.as_ref().map(on)), servers)
    }

    /// Where the node keeps everything.
    pub(crate) fn place(&self) -> Place {
        match self.node.folder.cluster().cloned() {
            None => Place::Folder(self.node.folder.data()),
            Some(cluster) => Place::Servers {
                nats: cluster.nats,
                database: cluster.database,
                namespace: cluster.namespace,
            },
        }
    }

    /// CPU seconds of each process so far.
    pub(crate) fn cpu(&mut self) -> Cpu {
        let sum = |pids: Vec<u32>| pids.into_iter().map(processes::cpu_seconds).sum();
        Cpu {
            node: if self.node.is_started() {
                processes::cpu_seconds(self.node.process().id())
            } else {
                0.0
            },
            nats: self
                .servers
                .as_ref()
                .map_or(0.0, |(nats, _)| sum(vec![nats.id()])),
            postgres: self
                .servers
                .as_ref()
                .map_or(0.0, |(_, postgres)| sum(postgres.processes())),
        }
    }

    /// Groups with so many members each, all of them different people, of whom so many send.
    pub(crate) async fn rooms(&self, rooms: usize, members: usize, senders: usize) -> Vec<Room> {
        let mut made = Vec::with_capacity(rooms);
        for room in 0..rooms {
            let names: Vec<_> = (0..members).map(|member| format!("u{room}-{member}")).collect();
            let others: Vec<_> = names[1..].iter().map(String::as_str).collect();
            let owner = self.node.client(&names[0]);
            let id = owner.group(&format!("Room {room}"), &others).await.id;
            made.push(Room {
                id,
                members: names,
                senders,
            });
        }
        made
    }

    /// Stops the node and gives every record of its log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) async fn records(&mut self) -> anyhow::Result<Vec<Record>> {
        self.node.terminate().await;
        let log: Arc<dyn EventLog> = match &self.servers {
            None => Arc::new(EmbeddedLog::open(&self.node.folder.data().join("log.db")).await?),
            Some((nats, _)) => {
                let cluster = self.node.folder.cluster().context("a cluster")?;
                let config = JetStreamConfig::new(nats.client().await, cluster.namespace.clone());
                Arc::new(JetStreamLog::open(config).await?)
            }
        };
        let mut records = Vec::new();
        for shard in 0..log.shards() {
            let mut after = 0;
            loop {
                let page = log.read(shard, after, 1_000).await?;
                let Some(last) = page.last() else { break };
                after = last.sequence;
                records.extend(page);
            }
        }
        Ok(records)
    }

    /// A new log with nothing in it, on the same.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) async fn bare_log(&self) -> anyhow::Result<Arc<dyn EventLog>> {
        Ok(match &self.servers {
            None => Arc::new(EmbeddedLog::open(&self.node.folder.scratch().join("bare.db")).await?),
            Some((nats, _)) => {
                let config = JetStreamConfig::new(nats.client().await, "bare");
                Arc::new(JetStreamLog::open(config).await?)
            }
        })
    }
}

async fn take_in(folder: &Folder, seeds: &[(&str, Seed)]) -> anyhow::Result<Vec<Vec<Room>>> {
    let (mut files, mut rooms) = (Vec::new(), Vec::with_capacity(seeds.len()));
    for (name, seed) in seeds {
        let written = seed.write(name, folder.scratch())?;
        rooms.push(seed.rooms(&written)?);
        files.extend(written);
    }
    folder.spawn_import(&files).wait_for(PATIENCE).await.succeeded();
    for file in files {
        std::fs::remove_file(file)?;
    }
    Ok(rooms)
}

impl Cpu {
    /// CPU seconds of all processes since.
    pub(crate) fn all_since(self, before: Self) -> f64 {
        self.since(before).map(|(_, seconds)| seconds).sum()
    }

    /// What was used since, noted by the name of the process.
    pub(crate) fn since(self, before: Self) -> impl Iterator<Item = (&'static str, f64)> {
        [
            ("CPU s of the node", self.node - before.node),
            ("CPU s of NATS", self.nats - before.nats),
            ("CPU s of Postgres", self.postgres - before.postgres),
        ]
        .into_iter()
        .filter(|(_, seconds)| *seconds > 0.0)
    }
}
