//! Following: a consumer that can be lost at any time, and what makes its records whole nevertheless.
//!
//! The consumer acknowledges nothing and lives on one server, in memory. Messages can be lost between it
//! and here, and it can vanish with its server. So nothing it says is taken on trust: a record is passed
//! on only if it is the one after the last; one that came before is dropped; a hole is filled from the
//! log; and after a while of silence the shard's leader is asked whether it is right that nothing comes.
//! Whatever goes wrong with a consumer, the answer is another consumer from where this one ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio::time::{sleep, timeout};

use super::read::unavailable;
use super::{Inner, shape};
use crate::log::{ReadError, Record};

/// The most records a batch has, and a consumer sends ahead.
const BATCH_RECORDS: usize = 500;

/// The most bytes a batch has, give or take a record, and a consumer sends ahead.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// How long nothing comes before the leader is asked whether there is nothing.
const SILENCE: Duration = Duration::from_secs(3);

/// How often a consumer with nothing to send says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// After what time without a follower its consumer is removed.
const ABANDONED: Duration = Duration::from_secs(30);

/// The pause after the first failure; it doubles with each, up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often in a row a shard must end before the follower to be taken at its word.
const SHORT_ANSWERS: u32 = 8;

/// What a follower asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Records.
    Whole,
    /// Which records there are; payloads may be empty.
    Headers,
}

/// Every record of a shard after the sequence, and from then on each new one.
pub(super) fn follow(
    inner: Arc<Inner>,
    shard: u16,
    after: u64,
    wanted: Wanted,
) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
    let follower = Follower {
        inner,
        shard,
        wanted,
        last: after,
        messages: None,
        failures: 0,
        short_answers: AtomicU32::new(0),
    };
    stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(records) => Some((Ok(records), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// An item of a consumer's stream.
type Sent = Option<Result<Message, pull::MessagesError>>;

/// Records that are ready together.
struct Batch {
    records: Vec<Record>,
    bytes: usize,
    /// The sequence of the last record in it, or before it.
    last: u64,
}

struct Follower {
    inner: Arc<Inner>,
    shard: u16,
    wanted: Wanted,
    /// The sequence of the last record that was passed on.
    last: u64,
    /// What the consumer sends; none when it has to be made.
    messages: Option<pull::Stream>,
    /// How often in a row it went wrong.
    failures: u32,
    /// How often in a row the shard ended before what was passed on.
    short_answers: AtomicU32,
}

impl Follower {
    /// The next records, at least one. While the log is away it waits for it.
    async fn next(&mut self) -> Result<Vec<Record>, ReadError> {
        loop {
            match self.advance().await {
                Ok(records) => {
                    self.failures = 0;
                    if let Some(record) = records.last() {
                        self.last = record.sequence;
                        if self.wanted == Wanted::Whole {
                            let shard = self.inner.shard(self.shard)?;
                            shard.continuity.saw(record.sequence, &record.payload);
                        }
                        return Ok(records);
                    }
                }
                Err(ReadError::Unavailable(reason)) => {
                    self.messages = None;
                    let pause = SHORTEST_PAUSE
                        .saturating_mul(1 << self.failures.min(16))
                        .min(LONGEST_PAUSE);
                    self.failures = self.failures.saturating_add(1);
                    tracing::warn!(
                        log.shard = self.shard,
                        log.sequence = self.last,
                        failures = self.failures,
                        reason,
                        "a follower of the log makes its consumer anew"
                    );
                    sleep(pause).await;
                }
                Err(damaged) => return Err(damaged),
            }
        }
    }

    /// What the consumer has ready, once it has anything. Empty when nothing came that is new.
    async fn advance(&mut self) -> Result<Vec<Record>, ReadError> {
        let messages = match self.messages.take() {
            Some(messages) => messages,
            None => self.consume().await?,
        };
        let messages = self.messages.insert(messages);
        let Ok(first) = timeout(SILENCE, messages.next()).await else {
            // Should the last message have been lost, then no later one shows it.
            if self.verified_end().await? > self.last {
                self.messages = None;
            }
            return Ok(Vec::new());
        };
        let mut batch = Batch {
            records: Vec::new(),
            bytes: 0,
            last: self.last,
        };
        let mut next = Some(first);
        while let Some(message) = next {
            match self.take(&mut batch, message) {
                Ok(true) => {}
                // What came before is good. What is wrong now is met again as the first of its batch.
                Ok(false) | Err(_) if !batch.records.is_empty() => {
                    self.messages = None;
                    break;
                }
                Ok(false) => return self.fill().await,
                Err(error) => return Err(error),
            }
            if batch.records.len() >= BATCH_RECORDS || batch.bytes >= BATCH_BYTES {
                break;
            }
            next = self
                .messages
                .as_mut()
                .and_then(|messages| messages.next().now_or_never());
        }
        Ok(batch.records)
    }

    /// Puts what the consumer sent into the batch if it is the next record, and drops it if it came
    /// before. False when records are missing before it.
    fn take(&self, batch: &mut Batch, message: Sent) -> Result<bool, ReadError> {
        let message = message
            .ok_or_else(|| ReadError::Unavailable("the consumer has ended".to_owned()))?
            .map_err(|error| unavailable(&error))?;
        let sequence = match message.info() {
            Ok(info) => info.stream_sequence,
            Err(error) => {
                return Err(ReadError::Unavailable(format!(
                    "a consumer's message is out of place: {error}"
                )));
            }
        };
        if sequence != batch.last + 1 {
            return Ok(sequence <= batch.last);
        }
        let (subject, payload) = (&message.message.subject, message.message.payload.clone());
        batch.bytes += payload.len();
        batch
            .records
            .push(self.inner.record(self.shard, subject, sequence, payload)?);
        batch.last = sequence;
        Ok(true)
    }

    /// Reads from the log what the consumer left out; reading also tells whether it is there at all.
    async fn fill(&mut self) -> Result<Vec<Record>, ReadError> {
        self.messages = None;
        let records = self
            .inner
            .page(self.inner.shard(self.shard)?, None, self.last, BATCH_RECORDS)
            .await?;
        if records.is_empty() {
            return Err(ReadError::Unavailable(
                "a consumer is ahead of the shard's leader".to_owned(),
            ));
        }
        Ok(records)
    }

    /// Makes a consumer that begins after the last record.
    async fn consume(&self) -> Result<pull::Stream, ReadError> {
        self.verified_end().await?;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.last + 1,
            },
            ack_policy: AckPolicy::None,
            inactive_threshold: ABANDONED,
            num_replicas: 1,
            memory_storage: true,
            headers_only: self.wanted == Wanted::Headers,
            ..pull::Config::default()
        };
        let name = self.inner.shard(self.shard)?.name.as_str();
        let consumer = self
            .inner
            .in_time(self.inner.context.create_consumer_on_stream(config, name))
            .await?
            .map_err(|error| unavailable(&error))?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(BATCH_RECORDS)
            .max_bytes_per_batch(BATCH_BYTES)
            .heartbeat(HEARTBEAT)
            .messages();
        self.inner
            .in_time(messages)
            .await?
            .map_err(|error| unavailable(&error))
    }

    async fn verified_end(&self) -> Result<u64, ReadError> {
        self.inner
            .verified_end(self.shard, self.last, &self.short_answers)
            .await
    }
}

impl Inner {
    /// Where the shard ends by its leader's knowledge, after checking that it is still the same log's and
    /// not shorter than what was read of it. `short_answers` is how often in a row it was; what went wrong
    /// otherwise, as long as servers are away, does not count.
    pub(super) async fn verified_end(
        &self,
        shard: u16,
        last: u64,
        short_answers: &AtomicU32,
    ) -> Result<u64, ReadError> {
        let shard = self.shard(shard)?;
        let info = self.info(shard).await?;
        let damaged = |detail: String| Err(self.breaks(shard, last, detail));
        if shape::epoch(&info.config) != Some(self.epoch) {
            return damaged("the log was made anew".to_owned());
        }
        let end = info.state.last_sequence;
        if end < last {
            let detail = format!("the shard ends at {end}");
            // A leader may be so new that it does not know all of its records yet.
            return if short_answers.fetch_add(1, Ordering::Relaxed) < SHORT_ANSWERS {
                Err(ReadError::Unavailable(detail))
            } else {
                damaged(detail)
            };
        }
        self.continuous(shard).await?;
        short_answers.store(0, Ordering::Relaxed);
        Ok(end)
    }
}
