//! Who hears what: the online members of each conversation, kept up with the log.
//!
//! A user who connects is pending until the own memberships were read from the read model. The read
//! model is as of some checkpoint at or after the moment of connecting; what the log changed since is
//! applied on top, and what was said since is delivered late. So nothing is missed between the two.

use std::collections::{HashMap, HashSet, VecDeque};

use axum::extract::ws::Utf8Bytes;
use domain::{ConversationId, TenantId, UserId};
use projections::view::Memberships;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Frames that are kept for users who are still pending.
const RECENT: usize = 8_192;

/// A user of a tenant.
pub(super) type UserKey = (TenantId, UserId);
type ConversationKey = (TenantId, ConversationId);

/// Names a socket on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SocketId(pub(super) u64);

/// Where the frames of one socket go.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) frames: mpsc::Sender<Utf8Bytes>,
    /// Cancelled when the socket cannot keep up.
    pub(super) overflow: CancellationToken,
}

/// Where in the log something happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) shard: u16,
    pub(super) sequence: u64,
}

impl At {
    fn is_after(self, checkpoints: &[(u16, u64)]) -> bool {
        let seen = checkpoints.iter().find(|(shard, _)| *shard == self.shard);
        seen.is_none_or(|(_, sequence)| self.sequence > *sequence)
    }
}

#[derive(Default)]
struct OnlineUser {
    sockets: HashMap<SocketId, Outbox>,
    attached: bool,
    conversations: HashSet<ConversationId>,
    /// While pending: the memberships that the log changed meanwhile.
    changes: Vec<(At, ConversationId, bool)>,
}

struct Recent {
    at: At,
    conversation: ConversationKey,
    frame: Utf8Bytes,
}

/// The memberships are older than what is kept here: read them again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stale;

#[derive(Default)]
pub(super) struct Audience {
    users: HashMap<UserKey, OnlineUser>,
    online: HashMap<ConversationKey, HashSet<UserKey>>,
    recent: VecDeque<Recent>,
    /// The newest sequence per shard that is not kept any more.
    forgotten: HashMap<u16, u64>,
}

impl Audience {
    /// A socket of a user; `true` when the user's memberships are known already.
    pub(super) fn register(&mut self, key: &UserKey, socket: SocketId, outbox: Outbox) -> bool {
        let user = self.users.entry(key.clone()).or_default();
        user.sockets.insert(socket, outbox);
        user.attached
    }

    /// Takes in a user's memberships, and delivers what was said since they were read.
    pub(super) fn attach(&mut self, key: &UserKey, memberships: &Memberships) -> Result<(), Stale> {
        let checkpoints = &memberships.checkpoints;
        let Some(user) = self.users.get_mut(key).filter(|user| !user.attached) else {
            return Ok(());
        };
        let lost = |(shard, sequence): (&u16, &u64)| {
            At {
                shard: *shard,
                sequence: *sequence,
            }
            .is_after(checkpoints)
        };
        if self.forgotten.iter().any(lost) {
            return Err(Stale);
        }
        user.attached = true;
        user.conversations = memberships.active().collect();
        for (at, conversation, joined) in std::mem::take(&mut user.changes) {
            if !at.is_after(checkpoints) {
                continue;
            }
            if joined {
                user.conversations.insert(conversation);
            } else {
                user.conversations.remove(&conversation);
            }
        }
        for conversation in &user.conversations {
            self.online
                .entry((key.0.clone(), *conversation))
                .or_default()
                .insert(key.clone());
        }
        let missed: Vec<_> = self
            .recent
            .iter()
            .filter(|recent| {
                recent.conversation.0 == key.0
                    && user.conversations.contains(&recent.conversation.1)
                    && recent.at.is_after(checkpoints)
            })
            .map(|recent| recent.frame.clone())
            .collect();
        missed.iter().for_each(|frame| user.deliver(frame));
        Ok(())
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
        let conversations = std::mem::take(&mut user.conversations);
        self.users.remove(key);
        for conversation in conversations {
            self.leave_online(key, conversation);
        }
    }

    /// A membership changed.
    pub(super) fn changed(&mut self, at: At, key: &UserKey, conversation: ConversationId, joined: bool) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        if !user.attached {
            user.changes.push((at, conversation, joined));
        } else if joined {
            user.conversations.insert(conversation);
            self.online
                .entry((key.0.clone(), conversation))
                .or_default()
                .insert(key.clone());
        } else {
            user.conversations.remove(&conversation);
            self.leave_online(key, conversation);
        }
    }

    /// Something was said that all members of a conversation hear.
    pub(super) fn say(&mut self, at: At, tenant: &TenantId, conversation: ConversationId, frame: Utf8Bytes) {
        let conversation = (tenant.clone(), conversation);
        for key in self.online.get(&conversation).into_iter().flatten() {
            if let Some(user) = self.users.get_mut(key) {
                user.deliver(&frame);
            }
        }
        self.recent.push_back(Recent {
            at,
            conversation,
            frame,
        });
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.forgotten.insert(oldest.at.shard, oldest.at.sequence);
        }
    }

    fn leave_online(&mut self, key: &UserKey, conversation: ConversationId) {
        let conversation = (key.0.clone(), conversation);
        if let Some(members) = self.online.get_mut(&conversation) {
            members.remove(key);
            if members.is_empty() {
                self.online.remove(&conversation);
            }
        }
    }
}

impl OnlineUser {
    /// Hands a frame to each socket. One whose queue is full cannot keep up and is told so.
    fn deliver(&mut self, frame: &Utf8Bytes) {
        self.sockets
            .retain(|_, outbox| match outbox.frames.try_send(frame.clone()) {
                Ok(()) => true,
                Err(_) => {
                    outbox.overflow.cancel();
                    false
                }
            });
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::user;
    use projections::view::Membership;

    use super::*;

    fn key(name: &str) -> UserKey {
        (TenantId::parse("t").unwrap(), user(name))
    }

    fn conversation(byte: u8) -> ConversationId {
        ConversationId::from_bytes([byte; 16])
    }

    fn at(sequence: u64) -> At {
        At { shard: 0, sequence }
    }

    fn outbox(size: usize) -> (Outbox, mpsc::Receiver<Utf8Bytes>) {
        let (frames, received) = mpsc::channel(size);
        (
            Outbox {
                frames,
                overflow: CancellationToken::new(),
            },
            received,
        )
    }

    fn memberships(checkpoint: u64, conversations: &[u8]) -> Memberships {
        Memberships {
            checkpoints: vec![(0, checkpoint)],
            conversations: conversations.iter().map(|byte| member_of(*byte)).collect(),
        }
    }

    fn member_of(byte: u8) -> Membership {
        Membership {
            conversation: conversation(byte),
            shard: 0,
            changed: 1,
            is_active: true,
        }
    }

    fn heard(received: &mut mpsc::Receiver<Utf8Bytes>) -> Vec<String> {
        std::iter::from_fn(|| received.try_recv().ok())
            .map(|frame| frame.to_string())
            .collect()
    }

    impl Audience {
        fn say_in(&mut self, sequence: u64, byte: u8, text: &'static str) {
            self.say(
                at(sequence),
                &key("ann").0,
                conversation(byte),
                Utf8Bytes::from_static(text),
            );
        }
    }

    #[test]
    fn what_was_said_and_changed_while_pending_is_not_missed() {
        let mut audience = Audience::default();
        let (out, mut received) = outbox(10);
        assert!(!audience.register(&key("ann"), SocketId(1), out));
        audience.say_in(5, 1, "before the checkpoint");
        audience.say_in(7, 1, "after it");
        audience.changed(at(8), &key("ann"), conversation(2), true);
        audience.say_in(9, 2, "in the new one");
        audience.changed(at(4), &key("ann"), conversation(1), false);
        audience.attach(&key("ann"), &memberships(6, &[1])).unwrap();
        audience.say_in(10, 2, "live");
        assert_eq!(heard(&mut received), ["after it", "in the new one", "live"]);
    }

    #[test]
    fn who_left_hears_nothing_more_and_who_joined_does() {
        let mut audience = Audience::default();
        let (out, mut received) = outbox(10);
        audience.register(&key("ann"), SocketId(1), out);
        audience.attach(&key("ann"), &memberships(0, &[1])).unwrap();
        audience.changed(at(1), &key("ann"), conversation(1), false);
        audience.say_in(2, 1, "unheard");
        audience.changed(at(3), &key("ann"), conversation(1), true);
        audience.say_in(4, 1, "heard");
        assert_eq!(heard(&mut received), ["heard"]);
    }

    #[test]
    fn another_tenants_user_of_the_same_name_hears_nothing() {
        let mut audience = Audience::default();
        let (out, mut received) = outbox(10);
        let other = (TenantId::parse("u").unwrap(), user("ann"));
        audience.register(&other, SocketId(1), out);
        audience.attach(&other, &memberships(0, &[1])).unwrap();
        audience.say_in(1, 1, "of another tenant");
        assert!(heard(&mut received).is_empty());
    }

    #[test]
    fn a_socket_that_cannot_keep_up_is_told_and_no_other_notices() {
        let mut audience = Audience::default();
        let ((slow, mut slow_received), (quick, mut quick_received)) = (outbox(1), outbox(10));
        audience.register(&key("ann"), SocketId(1), slow.clone());
        audience.attach(&key("ann"), &memberships(0, &[1])).unwrap();
        assert!(audience.register(&key("ann"), SocketId(2), quick.clone()));
        audience.say_in(1, 1, "a");
        audience.say_in(2, 1, "b");
        assert!(slow.overflow.is_cancelled() && !quick.overflow.is_cancelled());
        assert_eq!(heard(&mut slow_received), ["a"]);
        assert_eq!(heard(&mut quick_received), ["a", "b"]);
        audience.remove(&key("ann"), SocketId(2));
        assert!(audience.users.is_empty() && audience.online.is_empty());
    }

    #[test]
    fn memberships_older_than_what_is_kept_are_read_again() {
        let mut audience = Audience::default();
        let (out, mut received) = outbox(RECENT + 10);
        audience.register(&key("ann"), SocketId(1), out);
        for sequence in 1..=RECENT as u64 + 2 {
            audience.say_in(sequence, 1, "x");
        }
        assert_eq!(audience.attach(&key("ann"), &memberships(1, &[1])), Err(Stale));
        assert_eq!(audience.attach(&key("ann"), &memberships(2, &[1])), Ok(()));
        assert_eq!(heard(&mut received).len(), RECENT);
    }
}
