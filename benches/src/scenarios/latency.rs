//! How long a send takes at a moderate rate, until it is acknowledged and until it is delivered; beside a
//! bare commit that is handed over within the process, or a bare publish that is republished.

use std::time::{Duration, Instant};

use anyhow::Context;
use async_nats::jetstream::stream::{Config, Republish, StorageType};
use eventstore::contract::nats::NatsServer;
use futures::StreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::Run;
use crate::deployment::{Deployment, Mode};
use crate::figures::{Aim, Row};
use crate::latencies::{Latencies, Summary};
use crate::load::{Pace, Plan};
use crate::protocol::Protocol;

const PER_SECOND: f64 = 200.0;
const ROOMS: usize = 50;
const MEMBERS: usize = 10;
/// About what a record of one message has.
const BYTES: usize = 500;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let row = |what: &str, more| Row::new(format!("{what} at 200/s, ms"), Aim::Over(more));
    let mut rows = [
        row("send to ack p50", 0.4),
        row("send to ack p99", 2.0),
        row("send to delivered p50", 0.4),
        row("send to delivered p99", 2.0),
    ];
    for _ in 0..run.times() {
        let mut deployment = Deployment::start(run.mode).await;
        let plan = Plan {
            servers: vec![deployment.node.address().to_owned()],
            protocol: Protocol::Verbatim,
            secret: deployment.node.folder.secret(),
            rooms: deployment.rooms(ROOMS, MEMBERS, 2).await,
            pace: Pace::PerSecond(PER_SECOND),
            warm_up: 1.0,
            seconds: run.seconds(),
        };
        let before = deployment.cpu();
        let ours = plan.carry_out().await?;
        for (name, seconds) in deployment.cpu().since(before) {
            rows[0].note(name, seconds);
        }
        rows[0].note("max ms", ours.to_ack.max);
        rows[2].note("max ms", ours.to_delivery.max);
        drop(deployment);
        let bare = match run.mode {
            Mode::Embedded => bare_commit(run.seconds()).await?,
            Mode::Cluster => bare_publish(run.seconds()).await?,
        };
        let pairs = [(ours.to_ack, bare.0), (ours.to_delivery, bare.1)];
        for (rows, (ours, bare)) in rows.chunks_mut(2).zip(pairs) {
            rows[0].ours.push(ours.p50);
            rows[0].baseline.push(bare.p50);
            rows[1].ours.push(ours.p99);
            rows[1].baseline.push(bare.p99);
        }
    }
    Ok(rows.into())
}

/// Due times at the rate, for so long. From a thread: it wakes up more exactly than a timer of the runtime.
fn due(seconds: f64) -> tokio::sync::mpsc::UnboundedReceiver<Instant> {
    let (give, due) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let begun = Instant::now();
        for number in 0_u32.. {
            let after = f64::from(number) / PER_SECOND;
            let next = begun + Duration::from_secs_f64(after);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            if after > seconds || give.send(next).is_err() {
                return;
            }
        }
    });
    due
}

/// A durable commit of SQLite, and a channel to whoever listens.
async fn bare_commit(seconds: f64) -> anyhow::Result<(Summary, Summary)> {
    let folder = tempfile::tempdir()?;
    let mut connection = SqliteConnectOptions::new()
        .filename(folder.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    sqlx::raw_sql("CREATE TABLE records (sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
        .execute(&mut connection)
        .await?;
    let (hand, mut taken) = tokio::sync::mpsc::unbounded_channel::<Instant>();
    let listening = tokio::spawn(async move {
        let mut latencies = Latencies::default();
        while let Some(due) = taken.recv().await {
            latencies.record(due.elapsed());
        }
        latencies.summary()
    });
    let (mut acknowledged, mut due) = (Latencies::default(), due(seconds));
    while let Some(due) = due.recv().await {
        sqlx::query("INSERT INTO records (payload) VALUES (?1)")
            .bind(vec![7_u8; BYTES])
            .execute(&mut connection)
            .await?;
        acknowledged.record(due.elapsed());
        hand.send(due).context("a listener")?;
    }
    drop(hand);
    connection.close().await?;
    Ok((acknowledged.summary(), listening.await?))
}

/// A publish to a stream that syncs every message, and a subscription to what it republishes.
async fn bare_publish(seconds: f64) -> anyhow::Result<(Summary, Summary)> {
    let nats = NatsServer::start().await;
    let (client, listener) = (nats.client().await, nats.client().await);
    let context = async_nats::jetstream::new(client);
    context
        .create_stream(Config {
            name: "bare".to_owned(),
            subjects: vec!["bare.evt.>".to_owned()],
            storage: StorageType::File,
            republish: Some(Republish {
                source: "bare.evt.>".to_owned(),
                destination: "bare.live.>".to_owned(),
                headers_only: false,
            }),
            ..Config::default()
        })
        .await?;
    let mut heard = listener.subscribe("bare.live.>").await?;
    listener.flush().await?;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<Instant>();
    let listening = tokio::spawn(async move {
        let mut latencies = Latencies::default();
        // Messages come in the order they were published in, one at a time.
        while let Some(due) = told.recv().await {
            if heard.next().await.is_none() {
                break;
            }
            latencies.record(due.elapsed());
        }
        latencies.summary()
    });
    let (mut acknowledged, mut due) = (Latencies::default(), due(seconds));
    while let Some(due) = due.recv().await {
        tell.send(due).context("a listener")?;
        let sent = context.publish("bare.evt.1", vec![7_u8; BYTES].into()).await?;
        sent.await?;
        acknowledged.record(due.elapsed());
    }
    drop(tell);
    Ok((acknowledged.summary(), listening.await?))
}
