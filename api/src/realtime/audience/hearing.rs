//! What a commit does to the online users of its room.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use domain::{ConversationId, UserId};

use super::{At, Audience, ConversationKey, Happening, Heard, Item, Phase, RECENT, Room, Said, UserKey};
use crate::realtime::crowds::Read;
use crate::realtime::cursor::{Spot, StreamKey};

impl Audience {
    /// A commit of a room was heard, from a feed that had closed so many rooms by then; `false` when it was heard
    /// before, or is not to be heard.
    pub(in crate::realtime) fn hear(
        &mut self,
        (at, closed): (At, u64),
        name: &ConversationKey,
        stream: StreamKey,
        happenings: Vec<Happening>,
    ) -> bool {
        let Some(room) = self.rooms.get(name).filter(|room| closed >= room.closed_before) else {
            return false;
        };
        let lane = usize::from(stream.is_reads);
        let is_again = at.sequence <= room.newest[lane];
        for happening in &happenings {
            match happening {
                Happening::Said(event, frame) => {
                    let item = Item {
                        said: said(at, stream, *event, frame),
                        safe: Some(Arc::clone(&self.safe)),
                    };
                    self.say(name, &item, is_again);
                }
                Happening::Read(event, read) => {
                    let item = Item {
                        said: said(at, stream, *event, &read.frame),
                        safe: Some(Arc::clone(&self.safe)),
                    };
                    self.say_to(name, &read.reader, &item, is_again);
                }
                Happening::Joined(users) => {
                    for user in users {
                        self.joined(&(name.0.clone(), user.clone()), name.1, at, is_again);
                    }
                }
                Happening::Left(user) => self.left(&(name.0.clone(), user.clone()), name.1, is_again),
            }
        }
        let Some(room) = self.rooms.get_mut(name) else {
            return !is_again;
        };
        for progress in room.catching_up.values_mut() {
            progress[lane] = progress[lane].max(at.sequence);
        }
        if is_again {
            return false;
        }
        room.newest[lane] = at.sequence;
        self.recent.push_back(Heard {
            at,
            room: name.clone(),
            stream,
            happenings: happenings.into(),
        });
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
            && let Some(forgotten) = self.forgotten.get_mut(usize::from(oldest.at.shard))
        {
            *forgotten = oldest.at.sequence;
        }
        true
    }

    fn say(&mut self, name: &ConversationKey, item: &Item, is_again: bool) {
        let Some(room) = self.rooms.get(name) else {
            return;
        };
        let lane = usize::from(item.said.stream.is_reads);
        for key in &room.members {
            if !room.has_it(key, lane, item, is_again)
                && let Some(user) = self.users.get_mut(key)
            {
                user.deliver(item);
            }
        }
    }

    fn say_to(&mut self, name: &ConversationKey, user: &UserId, item: &Item, is_again: bool) {
        let Some(room) = self.rooms.get(name) else {
            return;
        };
        let lane = usize::from(item.said.stream.is_reads);
        let key = (name.0.clone(), user.clone());
        if room.members.contains(&key)
            && !room.has_it(&key, lane, item, is_again)
            && let Some(user) = self.users.get_mut(&key)
        {
            user.deliver(item);
        }
    }

    fn joined(&mut self, key: &UserKey, conversation: ConversationId, at: At, is_again: bool) {
        let Some(user) = self.users.get(key) else {
            return;
        };
        // Who is pending finds it among what was heard lately.
        if user.phase == Phase::Pending || (is_again && !user.expecting.contains(&conversation)) {
            return;
        }
        self.enter(key, conversation);
        if is_again && let Some(room) = self.rooms.get_mut(&(key.0.clone(), conversation)) {
            room.catching_up.insert(key.clone(), [at.sequence; 2]);
        }
    }

    fn left(&mut self, key: &UserKey, conversation: ConversationId, is_again: bool) {
        let room = self.rooms.get(&(key.0.clone(), conversation));
        if is_again && !room.is_some_and(|room| room.catching_up.contains_key(key)) {
            return;
        }
        if let Some(user) = self.users.get_mut(key)
            && user.phase != Phase::Pending
        {
            user.rooms.remove(&conversation);
            user.expecting.remove(&conversation);
            self.leave(key, conversation);
        }
    }

    /// What a user who was pending missed of a commit that was heard meanwhile.
    pub(super) fn hear_late(&mut self, key: &UserKey, heard: &Heard) {
        let is_open = self
            .rooms
            .get(&heard.room)
            .is_some_and(|room| heard.at.sequence > room.since);
        if heard.room.0 != key.0 || !is_open {
            return;
        }
        let conversation = heard.room.1;
        for happening in heard.happenings.iter() {
            match happening {
                Happening::Read(_, read) if read.reader != key.1 => {}
                Happening::Said(event, frame) | Happening::Read(event, Read { frame, .. }) => {
                    let item = Item {
                        said: said(heard.at, heard.stream, *event, frame),
                        safe: None,
                    };
                    if let Some(user) = self.users.get_mut(key)
                        && user.rooms.contains(&conversation)
                    {
                        user.deliver(&item);
                    }
                }
                Happening::Joined(users) if users.contains(&key.1) => {
                    if self.is_after_base(key, heard.at) {
                        self.enter(key, conversation);
                    }
                }
                Happening::Left(user) if *user == key.1 => {
                    if self.is_after_base(key, heard.at) {
                        self.left(key, conversation, false);
                    }
                }
                Happening::Joined(_) | Happening::Left(_) => {}
            }
        }
    }
}

impl Room {
    /// Whether a member was given an item before.
    fn has_it(&self, key: &UserKey, lane: usize, item: &Item, is_again: bool) -> bool {
        match self.catching_up.get(key) {
            Some(progress) => item.said.spot.sequence <= progress[lane],
            None => is_again,
        }
    }
}

fn said(at: At, stream: StreamKey, event: u32, frame: &Utf8Bytes) -> Arc<Said> {
    Arc::new(Said {
        frame: frame.clone(),
        shard: at.shard,
        stream,
        spot: Spot {
            sequence: at.sequence,
            event,
        },
        is_aside: false,
    })
}
