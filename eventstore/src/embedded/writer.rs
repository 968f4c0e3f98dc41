//! The one writer of an embedded log.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use domain::CommitId;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::SHARD;
use super::recent::Recent;
use crate::log::{Append, AppendError, Appended, Expected, Record};
use crate::subject::Stream;

/// The most appends that become one transaction.
const BATCH_APPENDS: usize = 512;
/// A transaction takes no further appends once it has this many bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Streams whose heads are remembered.
const KNOWN_STREAMS: usize = 100_000;
/// Commits whose repeat is recognised without looking at the log.
const KNOWN_COMMITS: usize = 16_384;

/// An append that waits for the writer.
pub(super) struct Request {
    pub(super) append: Append,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
}

#[derive(Clone, Copy)]
struct KnownStream {
    id: i64,
    head: u64,
}

pub(super) struct Writer {
    connection: SqliteConnection,
    end: watch::Sender<u64>,
    recent: Recent,
    streams: HashMap<Stream, KnownStream>,
    last_stream: i64,
    /// The sequences of recent commits by stream and id, with the order in which to forget them.
    commits: HashMap<(i64, CommitId), u64>,
    commit_order: VecDeque<(i64, CommitId)>,
}

impl Writer {
    /// A writer that goes on where the file ends.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn new(
        mut connection: SqliteConnection,
        end: watch::Sender<u64>,
        recent: Recent,
    ) -> Result<Self, sqlx::Error> {
        let last_stream = last_stream(&mut connection).await?;
        Ok(Self {
            connection,
            end,
            recent,
            streams: HashMap::new(),
            last_stream,
            commits: HashMap::new(),
            commit_order: VecDeque::new(),
        })
    }

    /// Runs until the log is closed or every handle of it is gone, and every accepted append is answered.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>, closing: CancellationToken) {
        loop {
            let first = tokio::select! {
                first = requests.recv() => first,
                () = closing.cancelled(), if !requests.is_closed() => {
                    requests.close();
                    continue;
                }
            };
            let Some(first) = first else { break };
            let mut bytes = first.append.payload.len();
            let mut batch = vec![first];
            while batch.len() < BATCH_APPENDS
                && bytes < BATCH_BYTES
                && let Ok(next) = requests.try_recv()
            {
                bytes += next.append.payload.len();
                batch.push(next);
            }
            self.commit(batch).await;
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the log was not closed cleanly");
        }
    }

    async fn commit(&mut self, batch: Vec<Request>) {
        let (appends, replies): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|request| (request.append, request.reply))
            .unzip();
        let outcomes = match self.write(&appends).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::error!(%error, "a transaction of the log failed");
                self.start_over().await;
                vec![Err(AppendError::Unknown(error.to_string())); appends.len()]
            }
        };
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // Whoever asked may have gone; the record stays all the same.
            let _ = reply.send(outcome);
        }
    }

    /// After a transaction that failed: what is remembered may be ahead of what is stored. So may what is
    /// stored: a transaction can fail and be there all the same.
    async fn start_over(&mut self) {
        // Fails when the transaction has ended, and that is as well.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        self.streams.clear();
        self.commits.clear();
        self.commit_order.clear();
        self.recent.clear();
        if let Ok(last) = last_stream(&mut self.connection).await {
            self.last_stream = last;
        }
        if let Ok(last) = super::last_sequence(&mut self.connection).await {
            self.end.send_replace(last);
        }
    }

    /// Writes those appends whose expectations hold, in order, in one transaction.
    async fn write(&mut self, appends: &[Append]) -> Result<Vec<Result<Appended, AppendError>>, sqlx::Error> {
        learn_streams(&mut self.connection, &mut self.streams, appends).await?;
        let mut last = *self.end.borrow();
        let mut created = Vec::new();
        let mut rows = Vec::with_capacity(appends.len());
        let mut records = Vec::with_capacity(appends.len());
        let mut outcomes = Vec::with_capacity(appends.len());
        for append in appends {
            let known = self.streams.get(&append.stream).copied();
            let repeated = known.and_then(|stream| self.commits.get(&(stream.id, append.commit_id)));
            if let Some(sequence) = repeated {
                outcomes.push(Ok(Appended { sequence: *sequence }));
                continue;
            }
            let head = known.map_or(0, |stream| stream.head);
            if matches!(append.expected, Expected::Head(expected) if expected != head) {
                outcomes.push(Err(AppendError::Conflict));
                continue;
            }
            let id = known.map_or_else(
                || {
                    self.last_stream += 1;
                    created.push((self.last_stream, append.stream.subject()));
                    self.last_stream
                },
                |stream| stream.id,
            );
            last += 1;
            rows.push((last, id, append.payload.clone()));
            records.push(Record {
                shard: SHARD,
                sequence: last,
                stream: append.stream.clone(),
                payload: append.payload.clone(),
            });
            let stream = KnownStream { id, head: last };
            self.streams.insert(append.stream.clone(), stream);
            self.commits.insert((id, append.commit_id), last);
            self.commit_order.push_back((id, append.commit_id));
            outcomes.push(Ok(Appended { sequence: last }));
        }
        if !rows.is_empty() {
            insert(&mut self.connection, created, rows).await?;
            self.recent.extend(records);
            self.end.send_replace(last);
            self.forget();
        }
        Ok(outcomes)
    }

    /// Forgets what is too much to remember.
    fn forget(&mut self) {
        while self.commit_order.len() > KNOWN_COMMITS {
            if let Some(oldest) = self.commit_order.pop_front() {
                self.commits.remove(&oldest);
            }
        }
        if self.streams.len() > KNOWN_STREAMS {
            self.streams.clear();
        }
    }
}

async fn last_stream(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(stream_id), 0) FROM streams")
        .fetch_one(connection)
        .await
}

/// Looks up the heads of streams that are not remembered, all at once. Nobody else writes, so that what is
/// found stays true.
async fn learn_streams(
    connection: &mut SqliteConnection,
    known: &mut HashMap<Stream, KnownStream>,
    appends: &[Append],
) -> Result<(), sqlx::Error> {
    let unknown = appends
        .iter()
        .filter(|append| !known.contains_key(&append.stream));
    let unknown: HashMap<_, _> = unknown
        .map(|append| (append.stream.subject(), &append.stream))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let asked = serde_json::to_string(&unknown.keys().collect::<Vec<_>>())
        .map_err(|error| sqlx::Error::Encode(error.into()))?;
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT s.subject, s.stream_id,
                (SELECT coalesce(max(r.sequence), 0) FROM records r WHERE r.stream_id = s.stream_id)
         FROM json_each(?1) j JOIN streams s ON s.subject = j.value",
    )
    .bind(asked)
    .fetch_all(connection)
    .await?;
    for (subject, id, head) in rows {
        if let Some(stream) = unknown.get(&subject) {
            let head = head.cast_unsigned();
            known.insert((*stream).clone(), KnownStream { id, head });
        }
    }
    Ok(())
}

/// Inserts new streams and records in a transaction of their own. All of it is one text, because what is
/// asked of the connection costs a change of threads each time; it has a place for every row and, so that
/// there are few such texts to prepare, for more: what is not bound is NULL, and left out.
async fn insert(
    connection: &mut SqliteConnection,
    streams: Vec<(i64, String)>,
    rows: Vec<(u64, i64, Bytes)>,
) -> Result<(), sqlx::Error> {
    let mut text = "BEGIN IMMEDIATE; ".to_owned();
    let mut places = 0;
    let mut values = |rows: usize, columns: usize| {
        let row = |_| {
            let row: Vec<_> = (0..columns)
                .map(|column| format!("?{}", places + column + 1))
                .collect();
            places += columns;
            format!("({})", row.join(", "))
        };
        (0..rows).map(row).collect::<Vec<_>>().join(", ")
    };
    let records = values(rows.len().next_power_of_two(), 3);
    if !streams.is_empty() {
        let streams = values(streams.len(), 2);
        text += &format!("INSERT INTO streams (stream_id, subject) VALUES {streams}; ");
    }
    text += &format!(
        "INSERT INTO records (sequence, stream_id, payload)
         SELECT * FROM (VALUES {records}) WHERE column1 IS NOT NULL; COMMIT"
    );
    let unused = rows.len().next_power_of_two() - rows.len();
    let is_usual = streams.is_empty();
    let mut query = sqlx::query(AssertSqlSafe(text)).persistent(is_usual);
    for (sequence, stream, payload) in rows {
        query = query
            .bind(sequence.cast_signed())
            .bind(stream)
            .bind(Vec::from(payload));
    }
    for _ in 0..unused {
        query = query.bind(None::<i64>).bind(None::<i64>).bind(None::<Vec<u8>>);
    }
    for (stream, subject) in streams {
        query = query.bind(stream).bind(subject);
    }
    query.execute(connection).await?;
    Ok(())
}
