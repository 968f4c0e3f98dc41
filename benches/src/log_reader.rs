//! Reads a whole log in a process of its own: every event decoded and unsealed, as whoever replays it does, or the
//! bare records. Shards are read beside each other.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use domain::Private;
use domain::conversation::Event as Happened;
use eventstore::embedded::EmbeddedLog;
use eventstore::jetstream::{DEFAULT_SHARDS, JetStreamConfig, JetStreamLog};
use eventstore::sealing::postgres::PostgresKeys;
use eventstore::sealing::sqlite::SqliteKeys;
use eventstore::{Codec, Event, EventLog};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};
use tokio::task::JoinSet;

use crate::deployment::Place;
use crate::{processes, role};

/// The first argument of its process.
pub(crate) const COMMAND: &str = "read-log";

/// What `tests::deployment` gives to all nodes.
const MASTER_KEY: [u8; 32] = [7; 32];
const KEY_READERS: u32 = 4;
/// Messages that a bare consumer asks for at once: of four streams, 16 MB at most.
const BATCH: usize = 16;

/// How a log is to be read, which nobody writes to meanwhile.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Reading {
    /// Through the log's port and the codec.
    Decoded(Place),
    /// What lies in the table, or comes out of the streams.
    Bare(Place),
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// Records.
    pub(crate) records: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    /// Events in them, if they were decoded.
    pub(crate) events: u64,
    /// Messages among them whose text was not to be unsealed.
    pub(crate) erased: u64,
    /// How long it took, without opening.
    pub(crate) seconds: f64,
    /// CPU seconds of the process.
    pub(crate) cpu: f64,
    /// The most memory it had, in KiB.
    pub(crate) peak_kib: f64,
}

impl Reading {
    /// Reads in a process of its own.
    ///
    /// # Errors
    /// When anything cannot be read.
    pub(crate) async fn carry_out(&self) -> anyhow::Result<Outcome> {
        role::carry_out(COMMAND, self).await
    }
}

/// The process that reads.
///
/// # Errors
/// When anything cannot be read.
pub(crate) async fn run() -> anyhow::Result<()> {
    role::run(async |reading: Reading| {
        let mut outcome = match reading {
            Reading::Decoded(place) => decoded(&place).await?,
            Reading::Bare(Place::Folder(folder)) => bare_rows(&folder.join("log.db")).await?,
            Reading::Bare(Place::Servers { nats, namespace, .. }) => bare_streams(&nats, &namespace).await?,
        };
        outcome.cpu = processes::cpu_seconds(std::process::id());
        outcome.peak_kib = processes::peak_kib(std::process::id());
        Ok(outcome)
    })
    .await
}

/// Opens a log, and makes it when it is missing, with a codec over its keys.
///
/// # Errors
/// When it cannot be opened.
pub(crate) async fn open(place: &Place) -> anyhow::Result<(Arc<dyn EventLog>, Codec)> {
    Ok(match place {
        Place::Folder(folder) => {
            let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(&folder.join("log.db")).await?);
            let keys = SqliteKeys::open(&folder.join("keys.db")).await?;
            (Arc::clone(&log), Codec::new(Arc::new(keys)).over(log))
        }
        Place::Servers {
            nats,
            database,
            namespace,
        } => {
            let config = JetStreamConfig::new(async_nats::connect(nats).await?, namespace);
            let keys = PostgresKeys::open(database, namespace, &MASTER_KEY, KEY_READERS).await?;
            let log: Arc<dyn EventLog> = Arc::new(JetStreamLog::open(config).await?);
            (Arc::clone(&log), Codec::new(Arc::new(keys)).over(log))
        }
    })
}

async fn decoded(place: &Place) -> anyhow::Result<Outcome> {
    let (log, codec) = open(place).await?;
    let began = Instant::now();
    let shards = (0..log.shards()).map(|shard| decoded_shard(Arc::clone(&log), codec.clone(), shard));
    together(shards, began).await
}

async fn decoded_shard(log: Arc<dyn EventLog>, codec: Codec, shard: u16) -> anyhow::Result<Outcome> {
    let mut found = Outcome::default();
    let end = log.end(shard).await?;
    let mut pages = log.follow(shard, 0);
    let mut last = 0;
    while last < end {
        let page = pages.next().await.context("the log has ended")??;
        last = page.last().map_or(last, |record| record.sequence);
        found.records += page.len() as u64;
        found.bytes += page.iter().map(|record| record.payload.len() as u64).sum::<u64>();
        for event in codec
            .decode(&page)
            .await?
            .into_iter()
            .flat_map(|commit| commit.events)
        {
            found.events += 1;
            if let Event::Conversation(Happened::MessageSent(message)) = event.event {
                found.erased += u64::from(matches!(message.body, Private::Erased));
            }
        }
    }
    Ok(found)
}

/// The rows of the log's table, in their order.
async fn bare_rows(file: &Path) -> anyhow::Result<Outcome> {
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .connect()
        .await?;
    let began = Instant::now();
    let mut found = Outcome::default();
    let mut rows =
        sqlx::query("SELECT sequence, payload FROM records ORDER BY sequence").fetch(&mut connection);
    while let Some(row) = rows.try_next().await? {
        found.records += 1;
        found.bytes += row.try_get::<&[u8], _>(1)?.len() as u64;
    }
    found.seconds = began.elapsed().as_secs_f64();
    Ok(found)
}

/// What ordered consumers of all shards give.
async fn bare_streams(nats: &str, namespace: &str) -> anyhow::Result<Outcome> {
    let context = async_nats::jetstream::new(async_nats::connect(nats).await?);
    let began = Instant::now();
    let shards = (0..DEFAULT_SHARDS).map(|shard| {
        let (context, stream) = (context.clone(), format!("{namespace}-evt-{shard}"));
        async move {
            let mut found = Outcome::default();
            let stream = context.get_stream(stream).await?;
            let end = stream.cached_info().state.last_sequence;
            let consumer = pull::Config {
                deliver_policy: DeliverPolicy::All,
                ack_policy: AckPolicy::None,
                ..pull::Config::default()
            };
            let consumer = stream.create_consumer(consumer).await?;
            // Records of an import are large: with more of them on their way the server takes the client for a
            // slow one, and closes the connection.
            let mut messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
            while found.records < end {
                let message = messages.next().await.context("the consumer has ended")??;
                found.records += 1;
                found.bytes += message.payload.len() as u64;
            }
            Ok(found)
        }
    });
    together(shards, began).await
}

/// Reads all shards beside each other.
async fn together<F>(shards: impl Iterator<Item = F>, began: Instant) -> anyhow::Result<Outcome>
where
    F: Future<Output = anyhow::Result<Outcome>> + Send + 'static,
{
    let mut all = Outcome::default();
    let mut reading: JoinSet<_> = shards.collect();
    while let Some(found) = reading.join_next().await {
        let found = found??;
        all.records += found.records;
        all.bytes += found.bytes;
        all.events += found.events;
        all.erased += found.erased;
    }
    all.seconds = began.elapsed().as_secs_f64();
    Ok(all)
}
