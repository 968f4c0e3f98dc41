//! Leases on JetStream: the newest message of a subject says who holds.
//!
//! The holder renews its message every second and a half, each time expecting its last one. Nobody's
//! clock is compared with another's: a contender takes over when it has seen the very same message
//! for five seconds of its own time, by a message that expects that one; and a holder that could not renew
//! for four seconds, counted from before it sent its last renewal, does not consider itself the holder
//! any more. It sent that renewal before anyone saw it, so it steps back at least a second before another
//! can step forward. A holder that ends politely leaves a message that names nobody, and the next one
//! steps forward at once.
//!
//! The messages are kept in a file, so a server that restarts usually still knows them. Where there is
//! none, someone may hold nevertheless: only the node that made the stream, and knew of no holder before,
//! does not wait.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Request;
use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RawMessageErrorKind, StorageType};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::connection::Silence;
use super::read::unavailable;
use super::{Inner, JetStreamLog};
use crate::lease::{Lease, Leases, Validity};
use crate::log::ReadError;
use crate::subject;

/// How often a holder renews, and how soon again when that failed.
const RENEWAL: Duration = Duration::from_millis(1_500);
const RENEWAL_AGAIN: Duration = Duration::from_millis(250);
/// How long a holder is one after it sent its last renewal.
const HELD: Duration = Duration::from_secs(4);
/// How long a contender sees the same message before it takes over.
const UNCHANGED: Duration = Duration::from_secs(5);
/// How often a contender looks.
const LOOK: Duration = Duration::from_millis(300);
/// How long a polite release is tried.
const RELEASE: Duration = Duration::from_secs(2);

/// The leases of the nodes on one log.
#[derive(Clone, Debug)]
pub struct JetStreamLeases {
    inner: Arc<Inner>,
    stream: Arc<str>,
    /// Names that someone was seen to hold, or to have held.
    known: Arc<Mutex<HashSet<String>>>,
    /// Whether this node made the stream, so that no name in it was ever held.
    made: Arc<AtomicBool>,
    /// Who contends; when it is not known, each contender is somebody else.
    node: Option<Ulid>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    /// Who holds; `None` when nobody does.
    holder: Option<Ulid>,
    /// How often it was renewed.
    renewals: u64,
}

/// The newest message of a name.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    /// 0 when there is none.
    sequence: u64,
    said: Option<Said>,
}

impl Seen {
    fn is_of(&self, holder: Ulid) -> bool {
        self.said.as_ref().is_some_and(|said| said.holder == Some(holder))
    }

    fn is_free(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.holder.is_none())
    }
}

/// Why a message was not written.
enum NotWritten {
    /// Another one is there.
    Conflict,
    /// It may be there, or not.
    Unknown(String),
}

impl JetStreamLeases {
    /// Leases beside this log, on its connection.
    #[must_use]
    pub fn new(log: &JetStreamLog) -> Self {
        Self {
            stream: format!("{}-leases", log.inner.namespace).into(),
            inner: Arc::clone(&log.inner),
            known: Arc::default(),
            made: Arc::default(),
            node: None,
        }
    }

    /// The same for a node that has a name of its own over all its runs, of which there is one at a time:
    /// what its last run held, this one takes without waiting.
    #[must_use]
    pub fn of_node(self, node: Ulid) -> Self {
        Self {
            node: Some(node),
            ..self
        }
    }

    /// Makes the stream when it is missing.
    async fn ensure(&self) -> Result<(), ReadError> {
        let replicas = self.inner.info(self.inner.shard(0)?).await?.config.num_replicas;
        let config = Config {
            name: self.stream.to_string(),
            subjects: vec![self.inner.named(subject::LEASES)],
            storage: StorageType::File,
            max_messages_per_subject: 1,
            discard: DiscardPolicy::Old,
            num_replicas: replicas,
            ..Config::default()
        };
        let made = self
            .inner
            .in_time(self.inner.context.create_stream(config))
            .await?;
        match made.map_err(|error| (error.kind(), error)) {
            Ok(_) => {
                self.made.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err((CreateStreamErrorKind::JetStream(refusal), _))
                if refusal.error_code() == ErrorCode::STREAM_NAME_EXIST =>
            {
                Ok(())
            }
            Err((_, error)) => Err(unavailable(&error)),
        }
    }

    async fn look(&self, name: &str) -> Result<Seen, ReadError> {
        let handle = self.inner.context.get_stream_no_info(&*self.stream).await;
        let handle = handle.map_err(|error| unavailable(&error))?;
        let newest = handle
            .raw_message_builder()
            .last_by_subject(self.inner.named(&subject::lease(name)));
        match self.inner.in_time(newest.send()).await? {
            Ok(message) => Ok(Seen {
                sequence: message.sequence,
                // What cannot be read is a holder like any other: it is waited for.
                said: serde_json::from_slice(&message.payload).ok(),
            }),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(Seen {
                sequence: 0,
                said: None,
            }),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Writes a message where this one is the newest.
    async fn write(&self, name: &str, expected: u64, said: &Said) -> Result<u64, NotWritten> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_STREAM, &*self.stream);
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        let payload = serde_json::to_vec(said).map_err(|error| NotWritten::Unknown(error.to_string()))?;
        let request = Request::new()
            .headers(headers)
            .payload(payload.into())
            .timeout(None);
        let subject = self.inner.named(&subject::lease(name));
        let unknown = |silence: Silence| NotWritten::Unknown(silence.to_string());
        let connection = self.inner.connection().await.map_err(unknown)?;
        match self.inner.publish(connection, subject, request).await {
            Ok(Response::Ok(written)) => Ok(written.sequence),
            Ok(Response::Err { error }) if error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE => {
                Err(NotWritten::Conflict)
            }
            Ok(Response::Err { error }) => Err(NotWritten::Unknown(error.to_string())),
            Err(error) => Err(NotWritten::Unknown(error.to_string())),
        }
    }

    fn is_known(&self, name: &str) -> bool {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    fn know(&self, name: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(name) {
            known.insert(name.to_owned());
        }
    }

    /// Waits for the right moment and takes the lease.
    async fn acquire(&self, name: &str, holder: Ulid) -> Held {
        let mut watched: Option<(Seen, Instant)> = None;
        loop {
            match self.look(name).await {
                Ok(seen) => {
                    let since = match &watched {
                        Some((same, since)) if *same == seen => *since,
                        _ => Instant::now(),
                    };
                    watched = Some((seen.clone(), since));
                    let new = self.made.load(Ordering::Relaxed) && !self.is_known(name);
                    let never_held = seen.sequence == 0 && new;
                    let free = never_held || seen.is_free() || seen.is_of(holder);
                    if seen.sequence > 0 {
                        self.know(name);
                    }
                    if free || since.elapsed() >= UNCHANGED {
                        let sent = Instant::now();
                        let said = Said {
                            holder: Some(holder),
                            renewals: 0,
                        };
                        match self.write(name, seen.sequence, &said).await {
                            Ok(sequence) => {
                                self.know(name);
                                return Held { sequence, sent };
                            }
                            // Whoever it was, the next look tells.
                            Err(NotWritten::Conflict) => continue,
                            Err(NotWritten::Unknown(reason)) => {
                                tracing::warn!(lease = name, reason, "a lease was not acquired");
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::debug!(lease = name, %error, "a lease cannot be looked at");
                    if let Err(error) = self.ensure().await {
                        tracing::warn!(lease = name, %error, "the leases are away");
                    }
                }
            }
            sleep(LOOK).await;
        }
    }
}

/// A lease that was just taken.
struct Held {
    sequence: u64,
    /// When the message was sent that says so.
    sent: Instant,
}

#[async_trait]
impl Leases for JetStreamLeases {
    async fn contend(&self, name: &str, cancel: CancellationToken) -> Option<Lease> {
        let holder = self.node.unwrap_or_else(Ulid::generate);
        loop {
            let held = cancel.run_until_cancelled(self.acquire(name, holder)).await?;
            let until = held.sent + HELD;
            if Instant::now() >= until {
                // The answer took so long that it is worth nothing any more.
                continue;
            }
            tracing::info!(lease = name, term = held.sequence, "holds a lease");
            let validity = Validity::until(until);
            let keeper = Keeper {
                leases: self.clone(),
                name: name.to_owned(),
                holder,
                sequence: held.sequence,
                renewals: 0,
                until,
                next: held.sent + RENEWAL,
                validity: Arc::clone(&validity),
                cancel,
            };
            return Some(Lease::kept(held.sequence, validity, |ended| {
                tokio::spawn(keeper.run(ended))
            }));
        }
    }
}

/// Renews a lease.
struct Keeper {
    leases: JetStreamLeases,
    name: String,
    holder: Ulid,
    /// The newest message of this holder.
    sequence: u64,
    renewals: u64,
    until: Instant,
    next: Instant,
    validity: Arc<Validity>,
    cancel: CancellationToken,
}

impl Keeper {
    async fn run(mut self, mut ended: oneshot::Receiver<()>) {
        let release = loop {
            tokio::select! {
                biased;
                polite = &mut ended => break polite.is_ok(),
                () = self.cancel.cancelled() => break true,
                // Also while a renewal is under way.
                () = sleep_until(self.until) => break false,
                renewed = renewal(self.next, self.leases.clone(), self.name.clone(), self.sequence, self.renewed()) => {
                    if !self.renewed_as(renewed).await {
                        break false;
                    }
                }
            }
        };
        // First it is not held here any more, then another may hold it.
        self.validity.lose();
        tracing::info!(lease = self.name, release, "holds a lease no more");
        if release && timeout(RELEASE, self.release()).await.is_err() {
            tracing::warn!(lease = self.name, "a lease could not be released and runs out");
        }
    }

    const fn renewed(&self) -> Said {
        Said {
            holder: Some(self.holder),
            renewals: self.renewals + 1,
        }
    }

    /// Takes the outcome of a renewal; `false` when the lease is lost.
    async fn renewed_as(&mut self, (sent, outcome): (Instant, Result<u64, NotWritten>)) -> bool {
        match outcome {
            Ok(sequence) => {
                self.sequence = sequence;
                self.renewals += 1;
                self.until = sent + HELD;
                self.next = sent + RENEWAL;
                self.validity.extend(self.until);
                true
            }
            Err(NotWritten::Conflict) => {
                // An own renewal whose answer was lost, or another holder.
                let look = timeout_at(self.until, self.leases.look(&self.name)).await;
                self.next = Instant::now();
                match look {
                    Ok(Ok(seen)) if seen.is_of(self.holder) || seen.sequence == 0 => {
                        self.sequence = seen.sequence;
                        true
                    }
                    Ok(Ok(_)) | Err(_) => false,
                    Ok(Err(_)) => {
                        self.next = Instant::now() + RENEWAL_AGAIN;
                        true
                    }
                }
            }
            Err(NotWritten::Unknown(reason)) => {
                tracing::warn!(lease = self.name, reason, "a lease was not renewed");
                // The stream may be gone.
                let ensured = timeout_at(self.until, self.leases.ensure()).await;
                self.next = Instant::now() + RENEWAL_AGAIN;
                ensured.is_ok()
            }
        }
    }

    async fn release(&mut self) {
        let nobody = Said {
            holder: None,
            renewals: self.renewals,
        };
        loop {
            match self.leases.write(&self.name, self.sequence, &nobody).await {
                Ok(_) => return,
                Err(NotWritten::Conflict) => match self.leases.look(&self.name).await {
                    Ok(seen) if seen.is_of(self.holder) => self.sequence = seen.sequence,
                    Ok(_) => return,
                    Err(_) => sleep(RENEWAL_AGAIN).await,
                },
                Err(NotWritten::Unknown(_)) => sleep(RENEWAL_AGAIN).await,
            }
        }
    }
}

/// Renews at this time, and says when that was sent.
async fn renewal(
    at: Instant,
    leases: JetStreamLeases,
    name: String,
    expected: u64,
    said: Said,
) -> (Instant, Result<u64, NotWritten>) {
    sleep_until(at).await;
    let sent = Instant::now();
    (sent, leases.write(&name, expected, &said).await)
}
