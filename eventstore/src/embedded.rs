//! The log in a SQLite file: one shard, one writer, fully synchronous, with group commit over all
//! streams.
//!
//! Appends queue for one writer task. While one transaction is being synced, the next ones gather, and
//! all of them become the next transaction: the more there is to do, the fewer syncs each append costs.
//! Readers page on connections of their own and never hold long transactions.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::recent::Recent;
use crate::log::{Append, AppendError, Appended, Epoch, EventLog, MAX_COMMIT_BYTES, ReadError, Record};
use crate::subject::Stream;

mod live;
mod recent;
mod writer;

/// The one shard of this log.
const SHARD: u16 = 0;
/// Appends that may wait for the writer; beyond it, those who append wait for a place.
const QUEUE: usize = 4_096;
const READERS: u32 = 4;
/// A page ends soon after this many bytes, whatever the number of records asked for.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Records that a follower takes at a time.
const FOLLOW_PAGE: usize = 1_000;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of 4 KiB after which the write-ahead log is folded into the file.
const CHECKPOINT_PAGES: &str = "4000";

/// Why the file could not be opened as a log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refused.
    #[error("the log cannot be opened")]
    Sqlite(#[from] sqlx::Error),
    /// The file has another schema than this version knows.
    #[error("the log cannot be brought to this version's schema")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The metadata lacks a readable epoch.
    #[error("the log's epoch is damaged")]
    Epoch,
}

/// What it takes to read the log. Clones share it.
#[derive(Clone, Debug)]
struct Reading {
    readers: SqlitePool,
    /// The newest record.
    end: watch::Receiver<u64>,
    recent: Recent,
}

/// The log of an embedded node.
#[derive(Debug)]
pub struct EmbeddedLog {
    epoch: Epoch,
    reading: Reading,
    queue: mpsc::Sender<writer::Request>,
    closing: CancellationToken,
    writing: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedLog {
    /// Opens the file, and creates it with a new epoch when it is missing. The caller keeps other
    /// processes away from it.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be opened or is not a log.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let mut connection = options(path).create_if_missing(true).connect().await?;
        migrate(&mut connection).await?;
        let epoch = epoch(&mut connection).await?;
        let (end, end_seen) = watch::channel(last_sequence(&mut connection).await?);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options(path))
            .await?;
        let (queue, requests) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let recent = Recent::default();
        let writer = writer::Writer::new(connection, end, recent.clone()).await?;
        let writing = tokio::spawn(writer.run(requests, closing.clone()));
        Ok(Self {
            epoch,
            reading: Reading {
                readers,
                end: end_seen,
                recent,
            },
            queue,
            closing,
            writing: Mutex::new(Some(writing)),
        })
    }

    /// Closes the log: what was accepted is answered, and all of it is in the one file, which can be
    /// copied. What is asked afterwards is answered as unavailable. Dropping the log is as safe, but may
    /// leave a write-ahead log beside the file.
    pub async fn close(&self) {
        // The writer closes last: connections that close at the same time leave the folding to each other.
        self.reading.readers.close().await;
        self.closing.cancel();
        if let Some(writing) = self.writing.lock().await.take()
            && let Err(error) = writing.await
        {
            tracing::error!(%error, "the log's writer ended badly");
        }
    }

    /// Gives the log a new epoch: every position and checkpoint of the old one means nothing any more.
    /// For a log that was restored from a backup. No node may have it open.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be opened or is not a log.
    pub async fn renew_epoch(path: &Path) -> Result<Epoch, OpenError> {
        let mut connection = options(path).connect().await?;
        migrate(&mut connection).await?;
        let epoch = Epoch::draw();
        sqlx::query("INSERT OR REPLACE INTO metadata (name, value) VALUES ('epoch', ?1)")
            .bind(epoch.to_string())
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(epoch)
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    // Run directly on the connection: the future of `run` is not `Send`.
    Ok(sqlx::migrate!("../migrations/sqlite/log")
        .run_direct(None, connection, false)
        .await?)
}

async fn epoch(connection: &mut SqliteConnection) -> Result<Epoch, OpenError> {
    sqlx::query("INSERT OR IGNORE INTO metadata (name, value) VALUES ('epoch', ?1)")
        .bind(Epoch::draw().to_string())
        .execute(&mut *connection)
        .await?;
    let epoch: String = sqlx::query_scalar("SELECT value FROM metadata WHERE name = 'epoch'")
        .fetch_one(connection)
        .await?;
    epoch.parse().map_err(|_| OpenError::Epoch)
}

async fn last_sequence(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM records")
        .fetch_one(connection)
        .await?;
    Ok(last.cast_unsigned())
}

/// Which records a page is made of.
struct Page<'a> {
    stream: Option<&'a Stream>,
    after: u64,
    limit: usize,
}

impl Reading {
    async fn page(&self, page: Page<'_>) -> Result<Vec<Record>, ReadError> {
        if page.stream.is_none()
            && let Some(records) = self.recent.after(page.after, page.limit)
        {
            return Ok(records);
        }
        let after = i64::try_from(page.after).unwrap_or(i64::MAX);
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let query = match page.stream {
            Some(stream) => sqlx::query(
                "SELECT r.sequence, r.payload FROM records r
             WHERE r.stream_id = (SELECT stream_id FROM streams WHERE subject = ?1) AND r.sequence > ?2
             ORDER BY r.sequence LIMIT ?3",
            )
            .bind(stream.subject()),
            None => sqlx::query(
                "SELECT r.sequence, r.payload, s.subject FROM records r JOIN streams s USING (stream_id)
             WHERE ?1 AND r.sequence > ?2 ORDER BY r.sequence LIMIT ?3",
            )
            .bind(true),
        };
        let mut rows = query.bind(after).bind(limit).fetch(&self.readers);
        let mut records = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next().await {
            let row = row.map_err(away)?;
            let sequence = row.try_get::<i64, _>(0).map_err(away)?.cast_unsigned();
            let payload: Vec<u8> = row.try_get(1).map_err(away)?;
            let stream = match page.stream {
                Some(stream) => stream.clone(),
                None => {
                    let subject: &str = row.try_get(2).map_err(away)?;
                    Stream::parse(subject).map_err(|error| ReadError::Damaged {
                        sequence,
                        detail: error.to_string(),
                    })?
                }
            };
            bytes += payload.len();
            records.push(Record {
                shard: SHARD,
                sequence,
                stream,
                payload: payload.into(),
            });
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(records)
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "it is used as a function in map_err"
)]
fn away(error: sqlx::Error) -> ReadError {
    ReadError::Unavailable(error.to_string())
}

#[async_trait]
impl EventLog for EmbeddedLog {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn shards(&self) -> u16 {
        1
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.payload.len() > MAX_COMMIT_BYTES {
            return Err(AppendError::TooLarge {
                size: append.payload.len(),
            });
        }
        let (reply, outcome) = oneshot::channel();
        let closed = || AppendError::Unavailable("the log is closed".to_owned());
        self.queue
            .send(writer::Request { append, reply })
            .await
            .map_err(|_| closed())?;
        // A writer that ends without an answer may have ended after its commit.
        outcome
            .await
            .unwrap_or_else(|_| Err(AppendError::Unknown("the log was closed".to_owned())))
    }

    async fn head(&self, stream: &Stream) -> Result<u64, ReadError> {
        let head: i64 = sqlx::query_scalar(
            "SELECT coalesce(max(sequence), 0) FROM records
             WHERE stream_id = (SELECT stream_id FROM streams WHERE subject = ?1)",
        )
        .bind(stream.subject())
        .fetch_one(&self.reading.readers)
        .await
        .map_err(away)?;
        Ok(head.cast_unsigned())
    }

    async fn read_stream(&self, stream: &Stream, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.reading
            .page(Page {
                stream: Some(stream),
                after,
                limit,
            })
            .await
    }

    async fn read(&self, shard: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        if shard != SHARD {
            return Ok(Vec::new());
        }
        self.reading
            .page(Page {
                stream: None,
                after,
                limit,
            })
            .await
    }

    async fn end(&self, _shard: u16) -> Result<u64, ReadError> {
        Ok(*self.reading.end.borrow())
    }

    fn follow(&self, shard: u16, after: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        if shard != SHARD {
            return futures::stream::pending().boxed();
        }
        self.reading.clone().follow(after)
    }
}

impl Reading {
    /// What [`EventLog::follow`] says, of the one shard.
    fn follow(self, after: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        futures::stream::unfold(Some((self, after)), |state| async move {
            let (mut reading, after) = state?;
            loop {
                // Marked as seen before reading: what is appended meanwhile wakes the wait below.
                reading.end.mark_unchanged();
                let page = Page {
                    stream: None,
                    after,
                    limit: FOLLOW_PAGE,
                };
                // Beyond the end there is nothing to look for.
                let is_behind = after < *reading.end.borrow();
                let page = if is_behind {
                    reading.page(page).await
                } else {
                    Ok(Vec::new())
                };
                match page {
                    Ok(page) => {
                        if let Some(last) = page.last() {
                            let after = last.sequence;
                            return Some((Ok(page), Some((reading, after))));
                        }
                    }
                    Err(error) => return Some((Err(error), None)),
                }
                if reading.end.changed().await.is_err() {
                    return Some((Err(ReadError::Unavailable("the log is closed".to_owned())), None));
                }
            }
        })
        .boxed()
    }
}
