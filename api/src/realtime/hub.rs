//! The hub: one task that follows the log, decodes each commit once and hands its frames out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::conversation::Event as Happened;
use eventstore::{Codec, Commit, DecodeError, Event, EventLog, ReadError, Record, Stream};
use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use projections::view::Memberships;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::audience::{At, Audience, Outbox, SocketId, Stale, UserKey};
use super::frame;

/// Sockets that may be coming and going at once.
const QUEUE: usize = 1_024;
/// How long the hub waits before it follows a log again that was away.
const RETRY: Duration = Duration::from_millis(500);

pub(super) enum Ask {
    Register {
        key: UserKey,
        outbox: Outbox,
        reply: oneshot::Sender<Registered>,
    },
    Attach {
        key: UserKey,
        memberships: Memberships,
        reply: oneshot::Sender<Result<(), Stale>>,
    },
    Remove {
        key: UserKey,
        socket: SocketId,
    },
}

/// A socket that the hub knows.
pub(super) struct Registered {
    pub(super) socket: SocketId,
    /// Whether the user's memberships are known already.
    pub(super) attached: bool,
    /// How far the hub had come, by shard.
    pub(super) at: Vec<u64>,
}

/// Delivers to the sockets of this node.
#[derive(Clone)]
pub struct Hub {
    asks: mpsc::Sender<Ask>,
    status: watch::Receiver<Option<String>>,
}

/// What a hub needs to start.
pub struct Starting {
    /// The log it follows, from its end on.
    pub log: Arc<dyn EventLog>,
    /// Reads commits.
    pub codec: Codec,
    /// Ends it.
    pub cancel: CancellationToken,
}

impl Hub {
    /// Starts a hub at the end of the log.
    ///
    /// # Errors
    /// [`ReadError`] when the log is away.
    pub async fn start(starting: Starting) -> Result<Self, ReadError> {
        let Starting { log, codec, cancel } = starting;
        let mut at = Vec::with_capacity(usize::from(log.shards()));
        for shard in 0..log.shards() {
            at.push(log.end(shard).await?);
        }
        let (asks, questions) = mpsc::channel(QUEUE);
        let (status, seen) = watch::channel(None);
        let task = Task {
            log,
            codec,
            audience: Audience::default(),
            at,
            status,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = task.run(questions) => {}
            }
        });
        Ok(Self { asks, status: seen })
    }

    /// Whether it delivers.
    ///
    /// # Errors
    /// Why it does not.
    pub fn health(&self) -> Result<(), String> {
        self.status.borrow().clone().map_or(Ok(()), Err)
    }

    pub(super) async fn register(&self, key: UserKey, outbox: Outbox) -> Option<Registered> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::Register { key, outbox, reply }).await.ok()?;
        answer.await.ok()
    }

    pub(super) async fn attach(&self, key: UserKey, memberships: Memberships) -> Option<Result<(), Stale>> {
        let (reply, answer) = oneshot::channel();
        self.asks
            .send(Ask::Attach {
                key,
                memberships,
                reply,
            })
            .await
            .ok()?;
        answer.await.ok()
    }

    pub(super) async fn remove(&self, key: UserKey, socket: SocketId) {
        // A hub that has ended has no sockets to forget.
        let _ = self.asks.send(Ask::Remove { key, socket }).await;
    }
}

type Feed = SelectAll<BoxStream<'static, Result<Vec<Record>, ReadError>>>;

struct Task {
    log: Arc<dyn EventLog>,
    codec: Codec,
    audience: Audience,
    /// The newest sequence that was handed out, by shard.
    at: Vec<u64>,
    status: watch::Sender<Option<String>>,
}

impl Task {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let mut feed = self.follow();
        loop {
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                records = feed.next() => {
                    let delivered = match records {
                        Some(Ok(records)) => self.deliver(&records).await,
                        Some(Err(error)) => Err(error.to_string()),
                        None => Err("the log is closed".to_owned()),
                    };
                    if let Err(reason) = delivered {
                        tracing::warn!(reason = %reason, "live delivery waits");
                        self.status.send_replace(Some(reason));
                        tokio::time::sleep(RETRY).await;
                        feed = self.follow();
                    } else if self.status.borrow().is_some() {
                        self.status.send_replace(None);
                    }
                }
            }
        }
    }

    fn follow(&self) -> Feed {
        (0..self.log.shards())
            .map(|shard| self.log.follow(shard, self.at[usize::from(shard)]))
            .collect()
    }

    fn answer(&mut self, ask: Ask) {
        static NEXT_SOCKET: AtomicU64 = AtomicU64::new(1);
        match ask {
            Ask::Register { key, outbox, reply } => {
                let socket = SocketId(NEXT_SOCKET.fetch_add(1, Ordering::Relaxed));
                let attached = self.audience.register(&key, socket, outbox);
                let registered = Registered {
                    socket,
                    attached,
                    at: self.at.clone(),
                };
                if reply.send(registered).is_err() {
                    self.audience.remove(&key, socket);
                }
            }
            Ask::Attach {
                key,
                memberships,
                reply,
            } => {
                let _ = reply.send(self.audience.attach(&key, &memberships));
            }
            Ask::Remove { key, socket } => self.audience.remove(&key, socket),
        }
    }

    /// Hands out what records say. One that cannot be decoded is never skipped: delivery stops before
    /// it, and says so.
    async fn deliver(&mut self, records: &[Record]) -> Result<(), String> {
        let commits = self
            .codec
            .decode(records)
            .await
            .map_err(|error: DecodeError| error.to_string())?;
        for commit in commits {
            self.at[usize::from(commit.shard)] = commit.sequence;
            self.say(&commit);
        }
        Ok(())
    }

    fn say(&mut self, commit: &Commit) {
        let (Stream::Conversation(tenant, id) | Stream::Reads(tenant, id)) = &commit.stream else {
            return;
        };
        let at = At {
            shard: commit.shard,
            sequence: commit.sequence,
        };
        for recorded in &commit.events {
            let frame = match &recorded.event {
                Event::Conversation(
                    Happened::Created { members, .. } | Happened::MembersAdded { members },
                ) => {
                    for (user, _) in members {
                        self.audience
                            .changed(at, &(tenant.clone(), user.clone()), *id, true);
                    }
                    None
                }
                Event::Conversation(Happened::MemberLeft { member, .. }) => {
                    self.audience
                        .changed(at, &(tenant.clone(), member.clone()), *id, false);
                    None
                }
                Event::Conversation(Happened::MessageSent(sent)) => Some(frame::new_message(*id, sent)),
                Event::Read(event) => frame::messages_read(*id, event, commit.time),
                Event::User(_) => None,
            };
            if let Some(frame) = frame {
                self.audience.say(at, tenant, *id, frame);
            }
        }
    }
}
