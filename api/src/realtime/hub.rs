//! The hub: one task that knows the online users of this node and hands them what the feeds tell.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use domain::conversation::{Event as Happened, reads};
use domain::{ConversationId, MessageId, TenantId, UserId};
use eventstore::live::LiveLog;
use eventstore::roll_call::{Attendance, Person};
use eventstore::signals::Signals;
use eventstore::{Checkpoint, Codec, Commit, Event, ReadError, Stream};
use projections::store::ReadModel;
use projections::view::{MembershipChange, Memberships};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::audience::{
    At, Audience, ConversationKey, Happening, Outbox, Said, SocketId, Stale, UserKey, Want,
};
use super::crowds::{Crowds, Read, Untold};
use super::cursor::{Cursor, Spot, StreamKey, Verified};
use super::feeds::{self, FeedHandle, Order, Told};
use super::frame;
use super::looks::Looking;
use crate::attachments::links::Links;

/// Sockets that may be coming and going at once.
const QUEUE: usize = 1_024;
/// What feeds may have told that the hub has not heard yet.
const TOLD: usize = 256;

pub(super) enum Ask {
    Register {
        key: UserKey,
        outbox: Outbox,
        reply: oneshot::Sender<Registered>,
    },
    /// Answered when everything the user is to hear is listened to.
    Attach {
        key: UserKey,
        /// `None` when they are known already.
        memberships: Option<Memberships>,
        reply: oneshot::Sender<Result<Cursor, Stale>>,
    },
    Remove {
        key: UserKey,
        socket: SocketId,
    },
    /// A user is not let in any more: all the sockets are closed.
    Expel(UserKey),
    /// Those who wrote what was read in crowds are to hear of it now.
    TellOfReads,
    /// Those of the users who are in the room hear this, aside.
    Tell {
        room: ConversationKey,
        users: Vec<UserId>,
        said: Arc<Said>,
    },
    /// Someone says that a user was added to a conversation.
    Announced {
        key: UserKey,
        conversation: ConversationId,
        at: At,
    },
    /// The memberships of a shard that changed up to this checkpoint, since the last look at them.
    Looked {
        changes: Vec<MembershipChange>,
        checkpoint: Checkpoint,
    },
    /// Who of these has a socket here, by their places.
    Present {
        asked: Vec<Person>,
        reply: oneshot::Sender<Vec<usize>>,
    },
}

/// A socket that the hub knows.
pub(super) struct Registered {
    pub(super) socket: SocketId,
    /// What other sockets of the user were given so far, and this one was not; `None` while the user's
    /// memberships are not known.
    pub(super) given: Option<Cursor>,
    /// The newest sequence that the hub has heard, by shard.
    pub(super) at: Vec<u64>,
}

/// Delivers to the sockets of this node.
#[derive(Clone)]
pub struct Hub {
    asks: mpsc::Sender<Ask>,
    feeds: Arc<[Feeding]>,
    /// Which conversations are so large that not everyone hears of each read.
    pub(super) crowds: Crowds,
}

/// How a shard's feed is doing.
struct Feeding {
    status: watch::Receiver<Option<String>>,
    behind: watch::Receiver<Option<String>>,
}

/// What a hub needs to start.
pub struct Starting {
    /// What it listens to, from its end on.
    pub log: Arc<dyn LiveLog>,
    /// Reads commits.
    pub codec: Codec,
    /// Hastens what the read model says of memberships.
    pub signals: Arc<dyn Signals>,
    /// Says who is a member of what.
    pub read_model: Arc<dyn ReadModel>,
    /// Signs the URLs of files.
    pub links: Links,
    /// How far that is, by shard, while nobody is online yet.
    pub projected: Vec<u64>,
    /// Ends it.
    pub cancel: CancellationToken,
}

impl Hub {
    /// Starts a hub at the end of the log.
    ///
    /// # Errors
    /// [`ReadError`] when the log is away.
    pub async fn start(starting: Starting) -> Result<Self, ReadError> {
        let Starting {
            log,
            codec,
            signals,
            read_model,
            links,
            projected,
            cancel,
        } = starting;
        let shards = u16::try_from(projected.len()).unwrap_or(u16::MAX);
        let crowds = Crowds::new(Arc::clone(&read_model));
        let (hub, told) = mpsc::channel(TOLD);
        let mut handles = Vec::with_capacity(usize::from(shards));
        for shard in 0..shards {
            let reading = (codec.clone(), crowds.clone());
            handles.push(feeds::start(&log, shard, reading, hub.clone()).await?);
        }
        let feeding = |feed: &FeedHandle| Feeding {
            status: feed.status.clone(),
            behind: feed.behind.clone(),
        };
        let feeds = handles.iter().map(feeding).collect();
        let (asks, questions) = mpsc::channel(QUEUE);
        let task = Task {
            audience: Audience::new(shards),
            shards: handles.into_iter().map(Shard::new).collect(),
            waiting: VecDeque::new(),
            untold: Untold::new(crowds.clone(), asks.downgrade()),
            links,
        };
        let running = cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = running.cancelled() => {}
                () = task.run(questions, told) => {}
            }
        });
        let hub = Self { asks, feeds, crowds };
        let looking = Looking {
            hub: hub.clone(),
            signals,
            read_model,
            from: projected,
            cancel,
        };
        tokio::spawn(looking.run());
        Ok(hub)
    }

    /// Whether it delivers.
    ///
    /// # Errors
    /// Why it does not.
    pub fn health(&self) -> Result<(), String> {
        let reasons = self.feeds.iter().flat_map(|feed| {
            let reason = |watch: &watch::Receiver<Option<String>>| watch.borrow().clone();
            [reason(&feed.status), reason(&feed.behind)]
        });
        reasons.flatten().next().map_or(Ok(()), Err)
    }

    pub(super) async fn register(&self, key: UserKey, outbox: Outbox) -> Option<Registered> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Register { key, outbox, reply }).await?;
        answer.await.ok()
    }

    /// `None` when the hub has ended.
    pub(super) async fn attach(
        &self,
        key: UserKey,
        memberships: Option<Memberships>,
    ) -> Option<Result<Cursor, Stale>> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Attach {
            key,
            memberships,
            reply,
        })
        .await?;
        answer.await.ok()
    }

    /// Closes all the sockets of a user.
    pub async fn expel(&self, key: (TenantId, UserId)) {
        // A hub that has ended has no sockets.
        let _ = self.ask(Ask::Expel(key)).await;
    }

    pub(super) async fn ask(&self, ask: Ask) -> Option<()> {
        self.asks.send(ask).await.ok()
    }
}

#[async_trait]
impl Attendance for Hub {
    async fn present(&self, asked: &[Person]) -> Vec<usize> {
        let (reply, answer) = oneshot::channel();
        let asked = asked.to_vec();
        // A hub that has ended has nobody.
        match self.ask(Ask::Present { asked, reply }).await {
            Some(()) => answer.await.unwrap_or_default(),
            None => Vec::new(),
        }
    }
}

/// What the hub knows of a shard.
struct Shard {
    orders: mpsc::UnboundedSender<Order>,
    /// Orders to listen, and how many of them are in effect.
    sent: u64,
    in_effect: u64,
    /// The newest sequence that was heard of.
    heard: u64,
    verified: u64,
    /// Up to where memberships were looked at, oldest first; not safe yet.
    looked: VecDeque<Verified>,
    safe: Verified,
}

impl Shard {
    fn new(feed: FeedHandle) -> Self {
        Self {
            orders: feed.orders,
            sent: 0,
            in_effect: 0,
            heard: feed.verified,
            verified: feed.verified,
            looked: VecDeque::new(),
            safe: Verified::default(),
        }
    }

    /// Goes as far as everything is verified and the memberships were looked at; `true` when that is
    /// further than before.
    fn advance(&mut self) -> bool {
        let before = self.safe;
        while let Some(looked) = self.looked.front()
            && looked.sequence <= self.verified
        {
            self.safe = *looked;
            self.looked.pop_front();
        }
        self.safe != before
    }
}

/// What is done when all orders of a moment are in effect.
struct Waiting {
    /// How many orders there were, by shard.
    orders: Vec<u64>,
    then: Then,
}

enum Then {
    Attached(UserKey, Cursor, oneshot::Sender<Result<Cursor, Stale>>),
    Looked(Checkpoint),
}

struct Task {
    audience: Audience,
    shards: Vec<Shard>,
    waiting: VecDeque<Waiting>,
    untold: Untold,
    links: Links,
}

impl Task {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>, mut told: mpsc::Receiver<(u16, Told)>) {
        loop {
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                told = told.recv() => match told {
                    Some((shard, told)) => self.hear(shard, told),
                    None => return,
                },
            }
            self.order();
            self.settle();
        }
    }

    fn answer(&mut self, ask: Ask) {
        static NEXT_SOCKET: AtomicU64 = AtomicU64::new(1);
        match ask {
            Ask::Register { key, outbox, reply } => {
                let socket = SocketId(NEXT_SOCKET.fetch_add(1, Ordering::Relaxed));
                let given = self.audience.register(&key, socket, outbox);
                let registered = Registered {
                    socket,
                    given,
                    at: self.shards.iter().map(|shard| shard.heard).collect(),
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
                let given = match memberships {
                    Some(memberships) => self.audience.attach(&key, &memberships),
                    None => Ok(Cursor::default()),
                };
                match given {
                    Ok(given) => self.when_listening(Then::Attached(key, given, reply)),
                    Err(stale) => {
                        let _ = reply.send(Err(stale));
                    }
                }
            }
            Ask::Remove { key, socket } => self.audience.remove(&key, socket),
            Ask::TellOfReads => self.untold.look_up(),
            Ask::Tell { room, users, said } => self.audience.tell(&room, users, &said),
            Ask::Expel(key) => self.audience.expel(&key),
            Ask::Announced {
                key,
                conversation,
                at,
            } => self.audience.announced(&key, conversation, at),
            Ask::Present { asked, reply } => {
                let places = asked.iter().enumerate();
                let present = places.filter(|(_, person)| self.audience.is_online(person));
                let _ = reply.send(present.map(|(place, _)| place).collect());
            }
            Ask::Looked { changes, checkpoint } => {
                for change in changes.into_iter().filter(|change| change.is_active) {
                    let at = At {
                        shard: checkpoint.shard,
                        sequence: change.sequence,
                    };
                    let key = (change.tenant, change.user);
                    self.audience.announced(&key, change.conversation, at);
                }
                self.when_listening(Then::Looked(checkpoint));
            }
        }
    }

    /// Remembers to do this when everything that is wanted now is listened to.
    fn when_listening(&mut self, then: Then) {
        self.order();
        let orders = self.shards.iter().map(|shard| shard.sent).collect();
        self.waiting.push_back(Waiting { orders, then });
    }

    fn hear(&mut self, shard: u16, told: Told) {
        match told {
            Told::Heard {
                commits,
                crowds,
                verified,
                closed,
            } => {
                for commit in &commits {
                    self.say(commit, &crowds, closed);
                }
                if let Some(shard) = self.shards.get_mut(usize::from(shard)) {
                    shard.verified = verified;
                    shard.heard = shard.heard.max(verified);
                    if shard.advance() {
                        self.set_safe();
                    }
                }
            }
            Told::Listening { orders } => {
                if let Some(shard) = self.shards.get_mut(usize::from(shard)) {
                    shard.in_effect += orders;
                }
            }
        }
    }

    /// Passes on what the audience wants, as few orders as keep their order.
    fn order(&mut self) {
        for want in std::mem::take(&mut self.audience.wants) {
            let (name, shard, since) = match want {
                Want::Listen(name, at) => (name, at.shard, Some(at.sequence)),
                Want::Unlisten(name, shard) => (name, shard, None),
            };
            let Some(shard) = self.shards.get_mut(usize::from(shard)) else {
                continue;
            };
            let order = match since {
                Some(since) => {
                    shard.sent += 1;
                    Order::Listen {
                        streams: streams(&name),
                        since,
                    }
                }
                None => Order::Unlisten(streams(&name)),
            };
            // A feed that has ended is ending with the hub.
            let _ = shard.orders.send(order);
        }
    }

    /// Does what waited for orders that are in effect now.
    fn settle(&mut self) {
        let is_due = |waiting: &Waiting, shards: &[Shard]| {
            let mut all = waiting.orders.iter().zip(shards);
            all.all(|(orders, shard)| *orders <= shard.in_effect)
        };
        // A shard that is away holds up who waits for it, and nobody else.
        let mut index = 0;
        while let Some(waiting) = self.waiting.get(index) {
            if !is_due(waiting, &self.shards) {
                index += 1;
                continue;
            }
            match self.waiting.remove(index).map(|waiting| waiting.then) {
                Some(Then::Attached(key, given, reply)) => {
                    self.audience.complete(&key);
                    let _ = reply.send(Ok(given));
                }
                Some(Then::Looked(checkpoint)) => {
                    if let Some(shard) = self.shards.get_mut(usize::from(checkpoint.shard)) {
                        shard.looked.push_back(Verified::from(&checkpoint));
                        if shard.advance() {
                            self.set_safe();
                        }
                    }
                }
                None => {}
            }
        }
    }

    fn set_safe(&mut self) {
        self.audience
            .set_safe(self.shards.iter().map(|shard| shard.safe).collect());
    }

    fn say(&mut self, commit: &Commit, crowds: &HashSet<ConversationId>, closed: u64) {
        let (Stream::Conversation(tenant, id) | Stream::Reads(tenant, id)) = &commit.stream else {
            return;
        };
        let Some(stream) = StreamKey::of(&commit.stream) else {
            return;
        };
        let at = At {
            shard: commit.shard,
            sequence: commit.sequence,
        };
        if let Some(shard) = self.shards.get_mut(usize::from(commit.shard)) {
            shard.heard = shard.heard.max(commit.sequence);
        }
        let room = (tenant.clone(), *id);
        let happenings = happenings(commit, crowds.contains(id), &self.links);
        let reads = happenings.iter().filter_map(|happening| match happening {
            Happening::Read(event, read) => Some((*event, read.clone())),
            _ => None,
        });
        let furthest = reads.max_by_key(|(_, read)| read.up_to);
        let is_news = self.audience.hear((at, closed), &room, stream, happenings);
        if let Some((event, read)) = furthest.filter(|_| is_news) {
            let said = Said {
                frame: read.frame.clone(),
                shard: at.shard,
                stream,
                spot: Spot {
                    sequence: at.sequence,
                    event,
                },
                is_aside: true,
            };
            self.untold.note(room, read, Arc::new(said));
        }
    }
}

fn streams((tenant, conversation): &ConversationKey) -> Vec<Stream> {
    vec![
        Stream::Conversation(tenant.clone(), *conversation),
        Stream::Reads(tenant.clone(), *conversation),
    ]
}

/// What a commit of a conversation, which may be a crowd, or of its read marks, means to those who listen.
pub(super) fn happenings(commit: &Commit, is_crowd: bool, links: &Links) -> Vec<Happening> {
    let (Stream::Conversation(_, id) | Stream::Reads(_, id)) = &commit.stream else {
        return Vec::new();
    };
    let said = |number, frame| Some(Happening::Said(number, frame));
    let meaning = |number: u32, event: &Event| match event {
        Event::Conversation(event) => match event {
            Happened::Created { members, .. } | Happened::MembersAdded { members } => Some(
                Happening::Joined(members.iter().map(|(user, _)| user.clone()).collect()),
            ),
            Happened::MemberLeft { member, .. } | Happened::MemberRemoved { member } => {
                Some(Happening::Left(member.clone()))
            }
            Happened::MessageSent(sent) => said(number, frame::new_message(*id, sent, links)),
            Happened::MessageEdited(edit) => said(number, frame::message_edited(*id, edit, commit.time)),
            Happened::MessageDeleted { message, by } => {
                let message = MessageId {
                    conversation: *id,
                    ordinal: *message,
                };
                said(number, frame::message_deleted(message, by, commit.time))
            }
            Happened::ReactionAdded(reaction) => {
                said(number, frame::reaction_updated(*id, reaction, "added")?)
            }
            Happened::ReactionRemoved(reaction) => {
                said(number, frame::reaction_updated(*id, reaction, "removed")?)
            }
            Happened::RoleChanged { .. } | Happened::InfoChanged { .. } => None,
        },
        Event::Read(event) => {
            let frame = frame::messages_read(*id, event, commit.time)?;
            match event {
                reads::Event::ReadMarked { member, up_to } if is_crowd => {
                    let (reader, up_to) = (member.clone(), *up_to);
                    let read = Read { reader, up_to, frame };
                    Some(Happening::Read(number, read))
                }
                _ => said(number, frame),
            }
        }
        Event::User(_) => None,
    };
    (0..)
        .zip(&commit.events)
        .filter_map(|(number, recorded)| meaning(number, &recorded.event))
        .collect()
}
