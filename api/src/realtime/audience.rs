//! Who hears what: the online members of each conversation, kept up with the log.
//!
//! A conversation with an online member is a *room*: this node listens to its streams. A user who
//! connects is pending until the own memberships were read from the read model, which is as of some
//! checkpoint at or after the moment of connecting. What was heard of rooms since then is delivered late,
//! and rooms that nobody was in yet are listened to from that checkpoint on. So nothing is missed between
//! the two, and nothing comes twice.
//!
//! Everything here is decided at once, without waiting: what is to be listened to is left in
//! [`Audience::wants`] for the hub to pass on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use domain::{ConversationId, TenantId, UserId};
use projections::view::{Membership, Memberships};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::crowds::Read;
use super::cursor::{Cursor, Spot, StreamKey, Verified, as_of};

mod hearing;

#[cfg(test)]
mod tests;

/// Commits that are kept for users who are still pending.
const RECENT: usize = 8_192;

/// A user of a tenant.
pub(super) type UserKey = (TenantId, UserId);
/// A conversation of a tenant.
pub(super) type ConversationKey = (TenantId, ConversationId);

/// Names a socket on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SocketId(pub(super) u64);

/// Up to where every user that is attached was given everything, by shard.
pub(super) type Safe = Arc<[Verified]>;

/// A frame, and the event of the log that it tells of.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) frame: Utf8Bytes,
    pub(super) shard: u16,
    pub(super) stream: StreamKey,
    pub(super) spot: Spot,
    /// Said later, and to some alone: cursors know nothing of it.
    pub(super) is_aside: bool,
}

/// A frame on its way to a socket. Small: each of many sockets has room for some.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) said: Arc<Said>,
    /// `None` while not all rooms of the user are listened to.
    pub(super) safe: Option<Safe>,
}

/// Where the frames of one socket go.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) items: mpsc::Sender<Item>,
    /// Cancelled when the socket cannot keep up, and when its user is not let in any more.
    pub(super) overflow: CancellationToken,
}

/// Where in the log something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) shard: u16,
    pub(super) sequence: u64,
}

/// What a commit means to those who listen, in the order of its events.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// The members hear this; the number is that of the event in its commit.
    Said(u32, Utf8Bytes),
    /// Somebody read in a crowd: the reader alone hears it, and others later.
    Read(u32, Read),
    /// They are members from here on.
    Joined(Vec<UserId>),
    /// Is a member no more.
    Left(UserId),
}

/// What the hub is to ask of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// The room's commits after this place.
    Listen(ConversationKey, At),
    /// No more of the room.
    Unlisten(ConversationKey, u16),
}

/// The memberships are older than what is known here: read them again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stale;

/// How far it is with a user.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// The memberships are not known.
    Pending,
    /// The memberships are known, and not all of the rooms are listened to yet.
    Listening,
    /// Gets everything.
    Attached,
}

struct OnlineUser {
    sockets: HashMap<SocketId, Outbox>,
    phase: Phase,
    /// What the memberships were as of: nothing up to there is delivered.
    base: Vec<Verified>,
    rooms: HashSet<ConversationId>,
    /// Conversations that the user was said to have been added to.
    expecting: HashSet<ConversationId>,
    /// While pending: where that was said to have happened.
    announced: Vec<(ConversationId, At)>,
}

struct Room {
    shard: u16,
    /// How many rooms of the shard were closed before this one was opened. What a feed tells before it
    /// has closed them may be of an earlier time of this room, with a hole after it.
    closed_before: u64,
    /// Listened to from here on.
    since: u64,
    members: HashSet<UserKey>,
    /// Users who were said to have been added; the commit that says so is still to come.
    expected: HashSet<UserKey>,
    /// The newest commit that was heard, of the conversation and of its read marks.
    newest: [u64; 2],
    /// Members for whom older commits are heard again, and how far each is with that.
    catching_up: HashMap<UserKey, [u64; 2]>,
}

/// A commit that was heard.
struct Heard {
    at: At,
    room: ConversationKey,
    stream: StreamKey,
    happenings: Arc<[Happening]>,
}

/// The online users of this node, and their rooms.
pub(super) struct Audience {
    users: HashMap<UserKey, OnlineUser>,
    rooms: HashMap<ConversationKey, Room>,
    recent: VecDeque<Heard>,
    /// The newest sequence per shard that is not kept any more.
    forgotten: Vec<u64>,
    safe: Safe,
    /// How many times it was wanted not to listen to a room any more, by shard.
    closed: Vec<u64>,
    pub(super) wants: Vec<Want>,
}

impl Audience {
    /// Nobody, in a log of this many shards.
    pub(super) fn new(shards: u16) -> Self {
        let shards = usize::from(shards);
        Self {
            users: HashMap::new(),
            rooms: HashMap::new(),
            recent: VecDeque::new(),
            forgotten: vec![0; shards],
            safe: vec![Verified::default(); shards].into(),
            closed: vec![0; shards],
            wants: Vec::new(),
        }
    }

    /// A socket of a user. When the user's memberships are known, answers what the user was given so
    /// far: this socket gets none of that.
    pub(super) fn register(&mut self, key: &UserKey, socket: SocketId, outbox: Outbox) -> Option<Cursor> {
        let user = self.users.entry(key.clone()).or_insert_with(OnlineUser::pending);
        user.sockets.insert(socket, outbox);
        (user.phase != Phase::Pending).then(|| {
            let mut given = Cursor::new(&user.base);
            if user.phase == Phase::Attached {
                given.join(&Cursor::new(&self.safe));
            }
            for conversation in &user.rooms {
                let Some(room) = self.rooms.get(&(key.0.clone(), *conversation)) else {
                    continue;
                };
                let newest = room.catching_up.get(key).unwrap_or(&room.newest);
                for (is_reads, newest) in [false, true].into_iter().zip(*newest) {
                    let stream = StreamKey {
                        conversation: *conversation,
                        is_reads,
                    };
                    given.note(room.shard, stream, Spot::end_of(newest));
                }
            }
            given
        })
    }

    /// Has all sockets of a user closed.
    pub(super) fn expel(&self, key: &UserKey) {
        let user = self.users.get(key);
        let sockets = user.into_iter().flat_map(|user| user.sockets.values());
        sockets.for_each(|outbox| outbox.overflow.cancel());
    }

    /// Takes in a user's memberships and delivers what was heard since they were read. The user is to
    /// be [completed](Self::complete) when what is wanted then is listened to. Answers what the
    /// memberships are as of.
    pub(super) fn attach(&mut self, key: &UserKey, memberships: &Memberships) -> Result<Cursor, Stale> {
        let Some(user) = self.users.get_mut(key) else {
            // Gone already.
            return Ok(Cursor::default());
        };
        if user.phase != Phase::Pending {
            return Ok(Cursor::new(&user.base));
        }
        let base = as_of(&memberships.checkpoints, self.safe.len());
        let since = |shard: u16| base.get(usize::from(shard)).map_or(0, |base| base.sequence);
        let active = memberships
            .conversations
            .iter()
            .filter(|membership| membership.is_active);
        let (open, new): (Vec<&Membership>, Vec<_>) =
            active.partition(|membership| self.rooms.contains_key(&room_of(key, membership)));
        for membership in &open {
            let since = since(membership.shard);
            let room = self.rooms.get(&room_of(key, membership));
            let forgotten = self.forgotten.get(usize::from(membership.shard));
            if room.is_some_and(|room| room.since > since) || forgotten.is_some_and(|newest| *newest > since)
            {
                return Err(Stale);
            }
        }
        let since: Vec<_> = new.iter().map(|membership| since(membership.shard)).collect();
        let given = Cursor::new(&base);
        user.phase = Phase::Listening;
        user.base = base;
        let announced = std::mem::take(&mut user.announced);
        for membership in open {
            self.enter(key, membership.conversation);
        }
        let heard = std::mem::take(&mut self.recent);
        for heard in &heard {
            self.hear_late(key, heard);
        }
        self.recent = heard;
        for (membership, since) in new.into_iter().zip(since) {
            let at = At {
                shard: membership.shard,
                sequence: since,
            };
            self.open(room_of(key, membership), at);
            self.enter(key, membership.conversation);
        }
        for (conversation, at) in announced {
            self.announced(key, conversation, at);
        }
        Ok(given)
    }

    /// Everything that was wanted for a user is listened to.
    pub(super) fn complete(&mut self, key: &UserKey) {
        if let Some(user) = self.users.get_mut(key)
            && user.phase == Phase::Listening
        {
            user.phase = Phase::Attached;
        }
    }

    /// Up to here, all who are attached were given everything.
    pub(super) fn set_safe(&mut self, safe: Vec<Verified>) {
        self.safe = safe.into();
    }

    /// Whether a user has a socket open here.
    pub(super) fn is_online(&self, key: &UserKey) -> bool {
        self.users.contains_key(key)
    }

    /// A socket is gone.
    pub(super) fn remove(&mut self, key: &UserKey, socket: SocketId) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        user.sockets.remove(&socket);
        if !user.sockets.is_empty() {
            return;
        }
        let rooms = user
            .rooms
            .drain()
            .chain(user.expecting.drain())
            .collect::<Vec<_>>();
        self.users.remove(key);
        for conversation in rooms {
            self.leave(key, conversation);
        }
    }

    /// Someone says that a user was added to a conversation there. What the log says there decides; this
    /// makes sure that it is heard.
    pub(super) fn announced(&mut self, key: &UserKey, conversation: ConversationId, at: At) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        if user.phase == Phase::Pending {
            user.announced.push((conversation, at));
            return;
        }
        let known = user
            .base
            .get(usize::from(at.shard))
            .map_or(0, |base| base.sequence);
        if at.sequence <= known || user.rooms.contains(&conversation) {
            return;
        }
        let name = (key.0.clone(), conversation);
        let before = At {
            sequence: at.sequence - 1,
            ..at
        };
        match self.rooms.get_mut(&name) {
            None => self.open(name.clone(), before),
            // It is still to come.
            Some(room) if at.sequence > room.newest[0] => {}
            // It was heard, and did to this user what it had to.
            Some(room) if at.sequence > room.since => return,
            // It was never heard here: others are in the room since later.
            Some(room) => {
                let behind = room.catching_up.values().flatten().copied().min();
                let sequence = before.sequence.min(behind.unwrap_or(u64::MAX));
                // The room itself is still as new as it was: what is older is heard again for those alone
                // who expect it, and the next one who was added there has to be expected too.
                self.unlisten(name.clone(), at.shard);
                self.wants.push(Want::Listen(name.clone(), At { sequence, ..at }));
            }
        }
        if let Some(room) = self.rooms.get_mut(&name) {
            room.expected.insert(key.clone());
        }
        if let Some(user) = self.users.get_mut(key) {
            user.expecting.insert(conversation);
        }
    }

    fn is_after_base(&self, key: &UserKey, at: At) -> bool {
        self.users
            .get(key)
            .is_some_and(|user| user.is_after_base(at.shard, at.sequence))
    }

    fn unlisten(&mut self, name: ConversationKey, shard: u16) {
        if let Some(closed) = self.closed.get_mut(usize::from(shard)) {
            *closed += 1;
        }
        self.wants.push(Want::Unlisten(name, shard));
    }

    fn open(&mut self, name: ConversationKey, at: At) {
        self.wants.push(Want::Listen(name.clone(), at));
        let closed_before = self.closed.get(usize::from(at.shard)).copied().unwrap_or(0);
        self.rooms.insert(
            name,
            Room {
                shard: at.shard,
                closed_before,
                since: at.sequence,
                members: HashSet::new(),
                expected: HashSet::new(),
                newest: [at.sequence; 2],
                catching_up: HashMap::new(),
            },
        );
    }

    fn enter(&mut self, key: &UserKey, conversation: ConversationId) {
        let name = (key.0.clone(), conversation);
        if let (Some(room), Some(user)) = (self.rooms.get_mut(&name), self.users.get_mut(key)) {
            room.expected.remove(key);
            room.members.insert(key.clone());
            user.expecting.remove(&conversation);
            user.rooms.insert(conversation);
        }
    }

    /// Those of the users who are in a room hear this aside.
    pub(super) fn tell(&mut self, room: &ConversationKey, users: Vec<UserId>, said: &Arc<Said>) {
        let item = Item {
            said: Arc::new(Said {
                frame: said.frame.clone(),
                is_aside: true,
                ..**said
            }),
            safe: None,
        };
        for user in users {
            let key = (room.0.clone(), user);
            let is_there = |room: &Room| room.members.contains(&key);
            if self.rooms.get(room).is_some_and(is_there)
                && let Some(user) = self.users.get_mut(&key)
            {
                user.deliver(&item);
            }
        }
    }

    /// Takes a user out of a room, and closes the room behind the last one.
    fn leave(&mut self, key: &UserKey, conversation: ConversationId) {
        let name = (key.0.clone(), conversation);
        let Some(room) = self.rooms.get_mut(&name) else {
            return;
        };
        room.members.remove(key);
        room.expected.remove(key);
        room.catching_up.remove(key);
        if room.members.is_empty() && room.expected.is_empty() {
            let shard = room.shard;
            self.rooms.remove(&name);
            self.unlisten(name, shard);
        }
    }
}

fn room_of(key: &UserKey, membership: &Membership) -> ConversationKey {
    (key.0.clone(), membership.conversation)
}

impl OnlineUser {
    fn pending() -> Self {
        Self {
            sockets: HashMap::new(),
            phase: Phase::Pending,
            base: Vec::new(),
            rooms: HashSet::new(),
            expecting: HashSet::new(),
            announced: Vec::new(),
        }
    }

    fn is_after_base(&self, shard: u16, sequence: u64) -> bool {
        self.base
            .get(usize::from(shard))
            .is_some_and(|base| sequence > base.sequence)
    }

    /// Hands a frame to each socket. One whose queue is full cannot keep up and is told so.
    fn deliver(&mut self, item: &Item) {
        if !self.is_after_base(item.said.shard, item.said.spot.sequence) {
            return;
        }
        let mut item = item.clone();
        if self.phase != Phase::Attached {
            item.safe = None;
        }
        self.sockets
            .retain(|_, outbox| match outbox.items.try_send(item.clone()) {
                Ok(()) => true,
                Err(_) => {
                    outbox.overflow.cancel();
                    false
                }
            });
    }
}
