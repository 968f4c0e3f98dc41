//! Digests: what the holder of a shard's lease publishes, so that all nodes notice what they missed.
//!
//! A message that was lost shows as a hole in its stream's chain once the next one comes; the last one
//! shows nowhere. So the holder says several times a second which streams have records in `(from, to]`,
//! and where each of them ends. `from` of one digest is `to` of the one before: that is its number, and
//! who is not verified up to `from` has missed one and asks the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::follow::{self, Wanted};
use super::read::unavailable;
use crate::log::{Epoch, ReadError};
use crate::subject;

/// How often there is a digest while there is something new.
const INTERVAL: Duration = Duration::from_millis(250);
/// Intervals without anything new after which there is a digest all the same.
const QUIET: u32 = 2;
/// What the streams of a digest may take in bytes; servers take 1 MiB, and small ones are quick.
const MAX_BYTES: usize = 60 * 1024;
/// What an entry takes beside its subject, at most.
const ENTRY_BYTES: usize = 26;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// What changed in a shard after `from` up to and with `to`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Digest {
    pub(super) epoch: Epoch,
    pub(super) from: u64,
    pub(super) to: u64,
    /// Subjects without the namespace, each with the sequence of its newest record up to `to`.
    pub(super) changed: Vec<(String, u64)>,
}

/// Publishes a shard's digests until it is cancelled.
pub(super) async fn attend(inner: Arc<Inner>, shard: u16, until: CancellationToken) {
    let attending = async {
        loop {
            let Err(error) = publish(&inner, shard).await;
            tracing::warn!(log.shard = shard, %error, "the digests of a shard begin anew");
            sleep(PAUSE).await;
        }
    };
    until.run_until_cancelled(attending).await;
}

async fn publish(inner: &Arc<Inner>, shard: u16) -> Result<std::convert::Infallible, ReadError> {
    let end = inner.verified_end(shard, 0, &AtomicU32::new(0)).await?;
    let follow = |after| follow::follow(Arc::clone(inner), shard, after, Wanted::Headers);
    let (mut digests, mut following, mut tick) = (Digests::after(inner, shard, end), follow(end), ticks());
    let (mut quiet, mut behind) = (0, false);
    loop {
        tokio::select! {
            batch = following.next() => {
                let batch = batch.ok_or_else(|| ReadError::Unavailable("the follower has ended".to_owned()))??;
                (quiet, behind) = (0, false);
                for record in batch {
                    digests.add(record.stream.subject(), record.sequence).await?;
                }
            }
            _ = tick.tick() => {
                if !inner.connected() {
                    continue;
                }
                if digests.is_new() {
                    digests.send().await?;
                    continue;
                }
                quiet += 1;
                if quiet < QUIET {
                    continue;
                }
                quiet = 0;
                // That there is nothing new is said only after the leader said so: silence of a follower
                // may be its own fault.
                let ends = inner.verified_end(shard, digests.to, &AtomicU32::new(0)).await?;
                if ends == digests.to {
                    behind = false;
                    digests.send().await?;
                } else if std::mem::replace(&mut behind, true) {
                    following = follow(digests.to);
                }
            }
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The digest that is being gathered.
struct Digests<'a> {
    inner: &'a Inner,
    subject: String,
    from: u64,
    to: u64,
    changed: HashMap<String, u64>,
    bytes: usize,
}

impl<'a> Digests<'a> {
    fn after(inner: &'a Inner, shard: u16, end: u64) -> Self {
        Self {
            inner,
            subject: inner.named(&subject::digest(shard)),
            from: end,
            to: end,
            changed: HashMap::new(),
            bytes: 0,
        }
    }

    const fn is_new(&self) -> bool {
        self.to > self.from
    }

    async fn add(&mut self, subject: String, sequence: u64) -> Result<(), ReadError> {
        let size = subject.len() + ENTRY_BYTES;
        if !self.changed.contains_key(&subject) {
            if self.bytes + size > MAX_BYTES {
                if self.inner.connected() {
                    self.send().await?;
                } else {
                    // There will be no digest of this stretch, and by the numbers all will see that.
                    (self.from, self.bytes) = (self.to, 0);
                    self.changed.clear();
                }
            }
            self.bytes += size;
        }
        self.changed.insert(subject, sequence);
        self.to = sequence;
        Ok(())
    }

    /// Publishes what was gathered.
    async fn send(&mut self) -> Result<(), ReadError> {
        let digest = Digest {
            epoch: self.inner.epoch,
            from: self.from,
            to: self.to,
            changed: self.changed.drain().collect(),
        };
        (self.from, self.bytes) = (self.to, 0);
        let payload = serde_json::to_vec(&digest).map_err(|error| unavailable(&error))?;
        self.inner
            .in_time(self.inner.client.publish(self.subject.clone(), payload.into()))
            .await?
            .map_err(|error| unavailable(&error))
    }
}
