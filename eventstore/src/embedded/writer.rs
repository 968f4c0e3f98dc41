//! The one writer of an embedded log.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use domain::CommitId;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::log::{Append, AppendError, Appended, Expected};

/// The most appends that become one transaction.
const BATCH_APPENDS: usize = 512;
/// A transaction takes no further appends once it has this many bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Streams whose heads are remembered.
const KNOWN_STREAMS: usize = 100_000;
/// Commits whose repeat is recognised without looking at the log.
const KNOWN_COMMITS: usize = 16_384;
/// Rows of the largest multi-row insert; smaller ones have half as many, and so on.
const INSERT_ROWS: usize = 64;

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

/// A record that is about to be inserted.
struct Row {
    sequence: u64,
    stream_id: i64,
    payload: Bytes,
}

pub(super) struct Writer {
    connection: SqliteConnection,
    end: watch::Sender<u64>,
    streams: HashMap<String, KnownStream>,
    /// The sequences of recent commits by stream and id, with the order in which to forget them.
    commits: HashMap<(i64, CommitId), u64>,
    commit_order: VecDeque<(i64, CommitId)>,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection, end: watch::Sender<u64>) -> Self {
        Self {
            connection,
            end,
            streams: HashMap::new(),
            commits: HashMap::new(),
            commit_order: VecDeque::new(),
        }
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
                // What is remembered may be ahead of what is stored.
                self.streams.clear();
                self.commits.clear();
                self.commit_order.clear();
                // So may what is stored: a transaction can fail and be there all the same.
                if let Ok(last) = super::last_sequence(&mut self.connection).await {
                    self.end.send_replace(last);
                }
                vec![Err(AppendError::Unknown(error.to_string())); appends.len()]
            }
        };
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // Whoever asked may have gone; the record stays all the same.
            let _ = reply.send(outcome);
        }
    }

    /// Writes those appends whose expectations hold, in order, in one transaction.
    async fn write(&mut self, appends: &[Append]) -> Result<Vec<Result<Appended, AppendError>>, sqlx::Error> {
        let subjects: Vec<_> = appends.iter().map(|append| append.stream.subject()).collect();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        learn_streams(&mut transaction, &mut self.streams, &subjects).await?;
        let mut last = *self.end.borrow();
        let mut rows = Vec::with_capacity(appends.len());
        let mut fresh = Vec::with_capacity(appends.len());
        let mut outcomes = Vec::with_capacity(appends.len());
        for (append, subject) in appends.iter().zip(subjects) {
            let known = self.streams.get(&subject).copied();
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
            let id = match known {
                Some(stream) => stream.id,
                None => create_stream(&mut transaction, &subject).await?,
            };
            last += 1;
            rows.push(Row {
                sequence: last,
                stream_id: id,
                payload: append.payload.clone(),
            });
            self.streams.insert(subject, KnownStream { id, head: last });
            self.commits.insert((id, append.commit_id), last);
            fresh.push((id, append.commit_id));
            outcomes.push(Ok(Appended { sequence: last }));
        }
        insert(&mut transaction, rows).await?;
        transaction.commit().await?;
        self.end.send_replace(last);
        self.remember(fresh);
        Ok(outcomes)
    }

    fn remember(&mut self, commits: Vec<(i64, CommitId)>) {
        self.commit_order.extend(commits);
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

/// Looks up the heads of streams that are not remembered, all at once.
async fn learn_streams(
    connection: &mut SqliteConnection,
    known: &mut HashMap<String, KnownStream>,
    subjects: &[String],
) -> Result<(), sqlx::Error> {
    let unknown: Vec<_> = subjects
        .iter()
        .filter(|subject| !known.contains_key(*subject))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let unknown = serde_json::to_string(&unknown).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT s.subject, s.stream_id,
                (SELECT coalesce(max(r.sequence), 0) FROM records r WHERE r.stream_id = s.stream_id)
         FROM json_each(?1) j JOIN streams s ON s.subject = j.value",
    )
    .bind(unknown)
    .fetch_all(connection)
    .await?;
    for (subject, id, head) in rows {
        known.insert(
            subject,
            KnownStream {
                id,
                head: head.cast_unsigned(),
            },
        );
    }
    Ok(())
}

async fn create_stream(connection: &mut SqliteConnection, subject: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("INSERT INTO streams (subject) VALUES (?1) RETURNING stream_id")
        .bind(subject)
        .fetch_one(connection)
        .await
}

/// Inserts records with as few statements as there are bits in their number: a statement costs more
/// than a row, and each size is prepared once.
async fn insert(connection: &mut SqliteConnection, rows: Vec<Row>) -> Result<(), sqlx::Error> {
    let mut rows = rows.into_iter();
    let mut size = INSERT_ROWS;
    while rows.len() > 0 {
        while size > rows.len() {
            size /= 2;
        }
        let values = vec!["(?, ?, ?)"; size].join(", ");
        let statement = format!("INSERT INTO records (sequence, stream_id, payload) VALUES {values}");
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for row in rows.by_ref().take(size) {
            query = query
                .bind(row.sequence.cast_signed())
                .bind(row.stream_id)
                .bind(row.payload.to_vec());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
