//! The feeds of a node: a task per shard that listens, decodes, and tells the hub.
//!
//! A commit that cannot be decoded is never skipped: the shard's delivery stops before it and says so.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::ConversationId;
use eventstore::live::{Live, LiveFeed, LiveLog};
use eventstore::{Codec, Commit, ReadError, Stream};
use tokio::sync::{mpsc, watch};

use super::crowds::Crowds;

/// How long a feed waits before it tries again what failed.
const RETRY: Duration = Duration::from_millis(500);

/// What the hub asks of a shard's feed.
#[derive(Debug)]
pub(super) enum Order {
    /// These streams too, from this sequence on.
    Listen { streams: Vec<Stream>, since: u64 },
    /// No more of these.
    Unlisten(Vec<Stream>),
}

/// What a feed tells the hub.
#[derive(Debug)]
pub(super) enum Told {
    /// Commits of what is listened to, how far nothing of it is missing, and how many orders not to listen
    /// were carried out before.
    Heard {
        commits: Vec<Commit>,
        /// Those of the conversations that somebody read in that are crowds.
        crowds: HashSet<ConversationId>,
        verified: u64,
        closed: u64,
    },
    /// So many orders to listen are in effect, since the last time this was said. What they asked for of
    /// the past has been told, or is told with what comes next.
    Listening { orders: u64 },
}

/// A feed's own end.
pub(super) struct Feed {
    shard: u16,
    codec: Codec,
    crowds: Crowds,
    feed: Box<dyn LiveFeed>,
    orders: mpsc::UnboundedReceiver<Order>,
    hub: mpsc::Sender<(u16, Told)>,
    status: watch::Sender<Option<String>>,
    /// Orders not to listen that were carried out.
    closed: u64,
}

/// The hub's end of a feed.
pub(super) struct FeedHandle {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// Where it began.
    pub(super) verified: u64,
    /// Why it does not deliver; `None` while it does.
    pub(super) status: watch::Receiver<Option<String>>,
    /// Why it may be behind; `None` while it is not.
    pub(super) behind: watch::Receiver<Option<String>>,
}

/// Starts the feed of a shard.
///
/// # Errors
/// [`ReadError`] when the log is away.
pub(super) async fn start(
    log: &Arc<dyn LiveLog>,
    shard: u16,
    (codec, crowds): (Codec, Crowds),
    hub: mpsc::Sender<(u16, Told)>,
) -> Result<FeedHandle, ReadError> {
    let feed = log.live(shard).await?;
    let (orders, asked) = mpsc::unbounded_channel();
    let (status, seen) = watch::channel(None);
    let handle = FeedHandle {
        orders,
        verified: feed.verified(),
        status: seen,
        behind: feed.health(),
    };
    let feed = Feed {
        shard,
        codec,
        crowds,
        feed,
        orders: asked,
        hub,
        status,
        closed: 0,
    };
    tokio::spawn(feed.run());
    Ok(handle)
}

/// The hub is gone.
struct Gone;

impl Feed {
    async fn run(mut self) {
        while let Ok(()) = self.step().await {}
    }

    async fn step(&mut self) -> Result<(), Gone> {
        tokio::select! {
            order = self.orders.recv() => {
                let first = order.ok_or(Gone)?;
                self.obey(first).await
            }
            live = self.feed.next() => match live {
                Ok(live) => self.tell(live).await,
                Err(error) => {
                    self.stumble(&error).await;
                    Ok(())
                }
            },
        }
    }

    /// Carries out an order and those that wait behind it. Orders to listen in a row become one: the
    /// earliest place is as good for all of them, since the hub knows what it heard already.
    async fn obey(&mut self, first: Order) -> Result<(), Gone> {
        let (mut streams, mut since, mut count) = (Vec::new(), u64::MAX, 0);
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Listen {
                    streams: more,
                    since: from,
                } => {
                    streams.extend(more);
                    since = since.min(from);
                    count += 1;
                }
                Order::Unlisten(no_more) => {
                    self.listen(std::mem::take(&mut streams), since, std::mem::take(&mut count))
                        .await?;
                    since = u64::MAX;
                    self.feed.unlisten(&no_more);
                    self.closed += 1;
                }
            }
            next = self.orders.try_recv().ok();
        }
        self.listen(streams, since, count).await
    }

    async fn listen(&mut self, streams: Vec<Stream>, since: u64, orders: u64) -> Result<(), Gone> {
        if orders == 0 {
            return Ok(());
        }
        while let Err(error) = self.feed.listen(streams.clone(), since).await {
            if self.hub.is_closed() {
                return Err(Gone);
            }
            self.stumble(&error).await;
        }
        self.recover();
        // What is held of the past goes first.
        while let Some(live) = futures::FutureExt::now_or_never(self.feed.next()) {
            match live {
                Ok(live) => self.tell(live).await?,
                Err(error) => self.stumble(&error).await,
            }
        }
        self.send(Told::Listening { orders }).await
    }

    async fn tell(&mut self, live: Live) -> Result<(), Gone> {
        let commits = loop {
            match self.codec.decode(&live.records).await {
                Ok(commits) => break commits,
                Err(_) if self.hub.is_closed() => return Err(Gone),
                Err(error) => self.stumble(&error).await,
            }
        };
        self.recover();
        self.send(Told::Heard {
            crowds: self.crowds.among(&commits).await,
            commits,
            verified: live.verified,
            closed: self.closed,
        })
        .await
    }

    async fn send(&mut self, told: Told) -> Result<(), Gone> {
        self.hub.send((self.shard, told)).await.map_err(|_| Gone)
    }

    /// Says what is wrong, and waits before the next attempt.
    async fn stumble(&mut self, error: &(dyn std::error::Error + Sync)) {
        let reason = error.to_string();
        let is_news = self.status.send_if_modified(|status| {
            let is_news = status.as_ref() != Some(&reason);
            *status = Some(reason.clone());
            is_news
        });
        if is_news {
            tracing::warn!(log.shard = self.shard, reason, "live delivery waits");
        }
        tokio::time::sleep(RETRY).await;
    }

    fn recover(&self) {
        self.status.send_if_modified(|status| status.take().is_some());
    }
}
