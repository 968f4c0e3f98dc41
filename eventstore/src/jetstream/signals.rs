//! Signals over core NATS: at most once, on the log's connection.
//!
//! What is published goes through one task, so that nobody waits for the network and a server that is
//! away costs nothing: then signals are dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Message;
use async_trait::async_trait;
use domain::ConversationId;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use super::{Inner, JetStreamLog};
use crate::log::{Epoch, Position};
use crate::signals::{Signal, Signals, SignalsUnavailable, Topic};
use crate::subject;

/// Announcements that wait to be sent; further ones are dropped.
const WAITING: usize = 4_096;
/// The pause between two notices of progress.
const PROJECTED_PAUSE: Duration = Duration::from_millis(5);

/// The signals of the nodes on one log.
#[derive(Clone, Debug)]
pub struct JetStreamSignals {
    inner: Arc<Inner>,
    joined: mpsc::Sender<(String, Joined)>,
    projected: Arc<Latest>,
}

/// The newest progress of each shard that was not sent yet.
#[derive(Debug, Default)]
struct Latest {
    shards: Mutex<HashMap<u16, Position>>,
    news: Notify,
}

#[derive(Debug, Serialize, Deserialize)]
struct Joined {
    conversation: ConversationId,
    position: Position,
}

#[derive(Debug, Serialize, Deserialize)]
struct Projected {
    epoch: Epoch,
    sequence: u64,
}

impl JetStreamSignals {
    /// Signals beside this log, on its connection. Needs a runtime.
    #[must_use]
    pub fn new(log: &JetStreamLog) -> Self {
        let inner = Arc::clone(&log.inner);
        let (joined, waiting) = mpsc::channel(WAITING);
        let projected = Arc::new(Latest::default());
        tokio::spawn(send(Arc::clone(&inner), waiting, Arc::clone(&projected)));
        Self {
            inner,
            joined,
            projected,
        }
    }
}

/// Sends what is published, until nobody can publish any more.
async fn send(inner: Arc<Inner>, mut joined: mpsc::Receiver<(String, Joined)>, projected: Arc<Latest>) {
    loop {
        tokio::select! {
            waiting = joined.recv() => match waiting {
                Some((subject, joined)) => publish(&inner, subject, &joined).await,
                None => return,
            },
            () = projected.news.notified() => {
                let shards = {
                    let mut shards = projected.shards.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::take(&mut *shards)
                };
                for (shard, Position { epoch, sequence, .. }) in shards {
                    let subject = inner.named(&subject::projected(shard));
                    publish(&inner, subject, &Projected { epoch, sequence }).await;
                }
                sleep(PROJECTED_PAUSE).await;
            }
        }
    }
}

async fn publish(inner: &Inner, subject: String, notice: &impl Serialize) {
    // The client would keep it and send it when it is old.
    if !inner.connected() {
        return;
    }
    let Ok(payload) = serde_json::to_vec(notice) else {
        return;
    };
    if let Err(error) = inner.client.publish(subject, payload.into()).await {
        tracing::debug!(%error, "a signal was not sent");
    }
}

#[async_trait]
impl Signals for JetStreamSignals {
    fn publish(&self, signal: Signal) {
        match signal {
            Signal::Joined {
                tenant,
                user,
                conversation,
                position,
            } => {
                let subject = self.inner.named(&subject::announce(&tenant, &user));
                let notice = Joined {
                    conversation,
                    position,
                };
                if self.joined.try_send((subject, notice)).is_err() {
                    tracing::debug!("a signal was dropped");
                }
            }
            Signal::Projected(position) => {
                let mut shards = self
                    .projected
                    .shards
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let newest = shards.entry(position.shard).or_insert(position);
                if newest.sequence < position.sequence || newest.epoch != position.epoch {
                    *newest = position;
                }
                drop(shards);
                self.projected.news.notify_one();
            }
        }
    }

    async fn subscribe(&self, topics: &[Topic]) -> Result<BoxStream<'static, Signal>, SignalsUnavailable> {
        let away = |what: String| SignalsUnavailable(what);
        let mut signals = stream::SelectAll::new();
        for topic in topics {
            let subject = match topic {
                Topic::Joined => subject::ANNOUNCEMENTS,
                Topic::Projected => subject::PROJECTED,
            };
            let messages = self.inner.client.subscribe(self.inner.named(subject));
            let messages = self.inner.in_time(messages).await;
            let messages = messages
                .map_err(|silence| away(silence.to_string()))?
                .map_err(|error| away(error.to_string()))?;
            let inner = Arc::clone(&self.inner);
            let signal = move |message: Message| {
                let signal = signal(&inner, &message);
                if signal.is_none() {
                    tracing::debug!("what came as a signal is none");
                }
                futures::future::ready(signal)
            };
            signals.push(messages.filter_map(signal).boxed());
        }
        // An answer of the server says that it has the subscriptions.
        let shard = self.inner.shard(0).map_err(|error| away(error.to_string()))?;
        self.inner
            .info(shard)
            .await
            .map_err(|error| away(error.to_string()))?;
        Ok(signals.boxed())
    }
}

/// What a message says, if it says anything of this log.
fn signal(inner: &Inner, message: &Message) -> Option<Signal> {
    let subject = inner.unnamed(&message.subject)?;
    if let Some((tenant, user)) = subject::announced_to(subject) {
        let joined: Joined = serde_json::from_slice(&message.payload).ok()?;
        return (joined.position.epoch == inner.epoch).then_some(Signal::Joined {
            tenant,
            user,
            conversation: joined.conversation,
            position: joined.position,
        });
    }
    let shard = subject::projected_shard(subject)?;
    let projected: Projected = serde_json::from_slice(&message.payload).ok()?;
    (projected.epoch == inner.epoch).then_some(Signal::Projected(Position {
        epoch: projected.epoch,
        shard,
        sequence: projected.sequence,
    }))
}
