//! Listening: subscriptions to what the server republishes, and what makes them whole.
//!
//! Messages come at most once: any can be lost, by a connection or by a subscription that is full. So
//! nothing rests on them but speed. Each names the record before it in its stream: after a hole nothing
//! of that stream goes out before the hole was filled from the log. That nothing is missing at the end is
//! told by the digests of the shard (see `digest`); when one is missing, when the connection was made
//! anew, or when no digest comes, the shard's leader is asked for its end and the range up to there is
//! read from the log.

mod heal;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use async_nats::header::NATS_STREAM;
use async_nats::{Message, Subscriber};
use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::digest::{self, Digest};
use super::read::{Link, header, unavailable};
use super::{Inner, JetStreamLog};
use crate::live::{Listening, Live, LiveFeed, LiveLog};
use crate::log::{ReadError, Record};
use crate::subject::{self, Stream};
use heal::Healed;
use subscriptions::Subscriptions;

/// How often a feed looks at the connection and at the clock.
const LOOK: Duration = Duration::from_millis(100);
/// How long no digest comes before the shard's end is asked for.
const SILENCE: Duration = Duration::from_millis(1_100);
/// The pause after the first failed reading; it doubles with each, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// How often in a row the log may not have what came live before that is taken for nonsense.
const MISSES: u32 = 8;
/// With more holes than this, the whole range is read instead.
const HOLES: usize = 8;
/// How often nonsense on the subjects is logged.
const NONSENSE_LOGGED: Duration = Duration::from_secs(10);

#[async_trait]
impl LiveLog for JetStreamLog {
    async fn live(&self, shard: u16) -> Result<Box<dyn LiveFeed>, ReadError> {
        let inner = Arc::clone(&self.inner);
        let connection = inner.connections();
        let digests = inner
            .in_time(inner.client.subscribe(inner.named(&subject::digest(shard))))
            .await?
            .map_err(|error| unavailable(&error))?;
        let end = inner.verified_end(shard, 0, &AtomicU32::new(0)).await?;
        Ok(Box::new(Feed {
            inner,
            shard,
            listening: Listening::from(end),
            subscriptions: Subscriptions::default(),
            digests,
            holes: HashMap::new(),
            promised: end,
            doubt: Doubt::None,
            end,
            healing: None,
            failures: 0,
            short_answers: Arc::default(),
            retry: Instant::now(),
            connection,
            heard: Instant::now(),
            look: Instant::now() + LOOK,
            health: watch::Sender::new(None),
            nonsense: None,
        }))
    }

    async fn attend(&self, shard: u16, until: CancellationToken) {
        digest::attend(Arc::clone(&self.inner), shard, until).await;
    }
}

/// Whether something may be missing between what is verified and the shard's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    /// The end has to be asked for.
    Some,
    /// The end was asked for, and all up to there has to be read.
    Until(u64),
}

/// Records of a stream that did not come.
struct Hole {
    /// The stream has records up to here, so it is said.
    to: u64,
    /// How often the log did not have them.
    misses: u32,
}

struct Feed {
    inner: Arc<Inner>,
    shard: u16,
    listening: Listening,
    subscriptions: Subscriptions,
    digests: Subscriber,
    holes: HashMap<Stream, Hole>,
    /// What is verified once there are no holes.
    promised: u64,
    doubt: Doubt,
    /// The furthest end that the leader has told.
    end: u64,
    /// A reading that is under way. It is kept here so that it goes on when a wait is cancelled.
    healing: Option<BoxFuture<'static, Result<Healed, ReadError>>>,
    /// How many readings in a row failed, and when the next may begin.
    failures: u32,
    /// How often in a row the shard ended before what was verified.
    short_answers: Arc<AtomicU32>,
    retry: Instant,
    /// The connection that everything was heard by.
    connection: u64,
    /// When a digest was heard last, or the end was asked for.
    heard: Instant,
    look: Instant,
    health: watch::Sender<Option<String>>,
    /// When nonsense was last logged.
    nonsense: Option<Instant>,
}

#[async_trait]
impl LiveFeed for Feed {
    fn verified(&self) -> u64 {
        self.listening.verified()
    }

    fn health(&self) -> watch::Receiver<Option<String>> {
        self.health.subscribe()
    }

    async fn listen(&mut self, streams: Vec<Stream>, since: u64) -> Result<(), ReadError> {
        let new = self.listening.unknown(streams);
        if new.is_empty() {
            return Ok(());
        }
        if new
            .iter()
            .any(|stream| self.inner.owner(stream).number != self.shard)
        {
            let detail = format!("a stream is not of shard {}", self.shard);
            return Err(ReadError::Unavailable(detail));
        }
        let prepared = self.subscriptions.prepare(&self.inner, &new).await?;
        // The answer also says that the subscriptions are in effect: a record that the leader stores
        // after it comes by them, and what it stored before is read.
        let known = self.listening.verified().max(self.promised).max(self.end);
        let end = self
            .inner
            .verified_end(self.shard, known, &AtomicU32::new(0))
            .await?;
        let records = heal::between(&self.inner, self.shard, &new, since, end).await?;
        self.take_ready();
        self.subscriptions.adopt(prepared);
        self.listening.listen(new, since, end, records);
        Ok(())
    }

    fn unlisten(&mut self, streams: &[Stream]) {
        for stream in streams {
            if self.listening.seen(stream).is_some() {
                self.subscriptions.leave(stream);
                self.holes.remove(stream);
            }
        }
        self.listening.unlisten(streams);
    }

    async fn next(&mut self) -> Result<Live, ReadError> {
        loop {
            self.settle();
            if let Some(live) = self.listening.due() {
                return Ok(live);
            }
            self.begin_healing();
            tokio::select! {
                Some(message) = self.subscriptions.next() => {
                    self.take(message);
                    self.take_ready();
                }
                Some(digest) = self.digests.next() => {
                    // What came before the digest is not missing.
                    self.take_ready();
                    self.compare(&digest);
                }
                healed = under_way(&mut self.healing) => {
                    self.healing = None;
                    self.healed(healed)?;
                }
                () = sleep_until(self.look) => self.look(),
            }
        }
    }
}

async fn under_way(
    healing: &mut Option<BoxFuture<'static, Result<Healed, ReadError>>>,
) -> Result<Healed, ReadError> {
    match healing {
        Some(healing) => healing.await,
        None => pending().await,
    }
}

impl Feed {
    /// Hands out what came live, if it is its stream's next.
    fn take(&mut self, message: Message) {
        let named = self.inner.unnamed(&message.subject);
        let Some(Ok(stream)) = named.map(Stream::parse_live) else {
            return self.nonsense("a subject that is no stream's");
        };
        let Some(seen) = self.listening.seen(&stream) else {
            return;
        };
        let link = Link::of(&message);
        let shard = header(message.headers.as_ref(), NATS_STREAM);
        let (Some(sequence), Some(previous)) = (link.sequence, link.previous) else {
            return self.nonsense("a message without its place in the log");
        };
        if self.inner.shard(self.shard).ok().map(|shard| shard.name.as_str()) != shard {
            return self.nonsense("a message of another JetStream stream");
        }
        if sequence <= seen {
            return;
        }
        if previous <= seen {
            self.listening.take(Record {
                shard: self.shard,
                sequence,
                stream,
                payload: message.payload,
            });
        } else {
            self.missing(stream, sequence);
        }
    }

    fn take_ready(&mut self) {
        while let Some(message) = self.subscriptions.ready() {
            self.take(message);
        }
    }

    /// Compares a digest with what was heard.
    fn compare(&mut self, message: &Message) {
        let Ok(digest) = serde_json::from_slice::<Digest>(&message.payload) else {
            return self.nonsense("a digest that is none");
        };
        if digest.epoch != self.inner.epoch {
            return self.nonsense("a digest of another log");
        }
        if digest.from > digest.to {
            return self.nonsense("a digest that ends before it begins");
        }
        self.heard = Instant::now();
        let known = self.listening.verified().max(self.promised);
        if digest.from > known {
            return self.doubt();
        }
        if digest.to <= known {
            return;
        }
        for (subject, newest) in digest.changed {
            let Ok(stream) = Stream::parse(&subject) else {
                self.nonsense("a digest of what is no stream");
                continue;
            };
            if self.listening.seen(&stream).is_some_and(|seen| seen < newest) {
                self.missing(stream, newest.min(digest.to));
            }
        }
        self.promised = digest.to;
    }

    /// Looks at the connection and the clock.
    fn look(&mut self) {
        self.look = Instant::now() + LOOK;
        if !self.inner.connected() {
            self.unwell("there is no connection to the server");
        }
        let connection = self.inner.connections();
        if connection != self.connection {
            self.connection = connection;
            self.retry = Instant::now();
            self.doubt();
        } else if self.heard.elapsed() > SILENCE && self.doubt == Doubt::None {
            self.doubt();
        }
    }

    /// Something may be missing anywhere after what is verified.
    fn doubt(&mut self) {
        self.doubt = Doubt::Some;
    }

    /// A stream has records up to this one that did not come.
    fn missing(&mut self, stream: Stream, to: u64) {
        let hole = self.holes.entry(stream).or_insert(Hole { to, misses: 0 });
        hole.to = hole.to.max(to);
        if self.holes.len() > HOLES && self.doubt == Doubt::None {
            self.doubt();
        }
    }

    /// Forgets holes that are filled, and verifies what was promised when there are none.
    fn settle(&mut self) {
        if !self.holes.is_empty() {
            let listening = &self.listening;
            self.holes
                .retain(|stream, hole| listening.seen(stream).is_some_and(|seen| seen < hole.to));
        }
        if self.holes.is_empty() {
            self.listening.verify(self.promised);
        }
    }

    /// Begins to read what is missing, when something is and nothing is being read.
    fn begin_healing(&mut self) {
        if self.healing.is_some() || Instant::now() < self.retry {
            return;
        }
        let (inner, shard) = (Arc::clone(&self.inner), self.shard);
        let known_end = match self.doubt {
            Doubt::None => {
                if let Some((stream, _)) = self.holes.iter().next() {
                    let seen = self.listening.seen(stream).unwrap_or(u64::MAX);
                    self.healing = Some(heal::stream(inner, shard, stream.clone(), seen).boxed());
                }
                return;
            }
            Doubt::Some => None,
            Doubt::Until(end) => Some(end),
        };
        // A doubt that comes up from here on is another one.
        self.doubt = Doubt::None;
        let verified = self.listening.verified();
        self.healing = Some(match known_end {
            None => {
                self.heard = Instant::now();
                heal::end(
                    inner,
                    shard,
                    verified.max(self.end),
                    Arc::clone(&self.short_answers),
                )
                .boxed()
            }
            Some(end) if heal::is_long(verified, end, self.listening.streams().len()) => {
                let streams = self.listening.streams();
                let streams = streams.map(|(stream, seen)| (stream.clone(), seen)).collect();
                heal::streams(inner, shard, streams, end).boxed()
            }
            Some(_) => heal::page(inner, shard, verified).boxed(),
        });
    }

    /// Takes what was read from the log.
    fn healed(&mut self, healed: Result<Healed, ReadError>) -> Result<(), ReadError> {
        match healed {
            Ok(Healed::Stream(stream, records)) => {
                if records.is_empty() {
                    self.missed(&stream);
                } else {
                    self.well();
                }
                records.into_iter().for_each(|record| self.listening.take(record));
            }
            Ok(Healed::End(end)) => {
                self.well();
                self.end = self.end.max(end);
                self.read_on();
            }
            Ok(Healed::Range { records, to }) => {
                self.well();
                records.into_iter().for_each(|record| self.listening.take(record));
                self.listening.verify(to);
                self.holes.retain(|_, hole| hole.to > to);
                self.read_on();
            }
            Err(ReadError::Unavailable(reason)) => {
                self.failed(&reason);
                self.doubt();
            }
            Err(damaged) => return Err(damaged),
        }
        Ok(())
    }

    /// Goes on to read what the shard is known to have, unless its end has to be asked for anyway.
    fn read_on(&mut self) {
        if self.listening.verified() < self.end && self.doubt == Doubt::None {
            self.doubt = Doubt::Until(self.end);
        }
    }

    /// The log does not have what came live: its replica may be behind, or that was nonsense.
    fn missed(&mut self, stream: &Stream) {
        self.failed("the log does not have yet what came live");
        if let Some(hole) = self.holes.get_mut(stream) {
            hole.misses += 1;
            if hole.misses > MISSES {
                self.holes.remove(stream);
                self.nonsense("records that are not in the log");
                self.doubt();
            }
        }
    }

    fn failed(&mut self, reason: &str) {
        let pause = SHORTEST_PAUSE
            .saturating_mul(1 << self.failures.min(8))
            .min(LONGEST_PAUSE);
        if self.failures == 0 {
            tracing::warn!(
                log.shard = self.shard,
                log.sequence = self.verified(),
                reason,
                "a live feed is behind"
            );
        }
        self.failures = self.failures.saturating_add(1);
        self.retry = Instant::now() + pause;
        self.unwell(reason);
    }

    fn unwell(&self, reason: &str) {
        self.health.send_if_modified(|health| {
            let new = health.as_deref() != Some(reason);
            *health = Some(reason.to_owned());
            new
        });
    }

    fn well(&mut self) {
        self.failures = 0;
        self.health.send_if_modified(|health| health.take().is_some());
    }

    /// Says that something on the subjects is not what belongs there. Anyone might send it, so it is not
    /// said often.
    fn nonsense(&mut self, what: &'static str) {
        if self
            .nonsense
            .is_none_or(|logged| logged.elapsed() > NONSENSE_LOGGED)
        {
            self.nonsense = Some(Instant::now());
            tracing::warn!(log.shard = self.shard, what, "a live feed passes over what came");
        }
    }
}
