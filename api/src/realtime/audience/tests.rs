use domain::CommitId;
use domain::testing::user;
use eventstore::{Checkpoint, Epoch};

use super::*;

const SHARDS: u16 = 2;

fn key(name: &str) -> UserKey {
    (TenantId::parse("t").unwrap(), user(name))
}

fn conversation(byte: u8) -> ConversationId {
    ConversationId::from_bytes([byte; 16])
}

fn room(byte: u8) -> ConversationKey {
    (key("ann").0, conversation(byte))
}

fn at(sequence: u64) -> At {
    At { shard: 0, sequence }
}

fn stream(byte: u8, is_reads: bool) -> StreamKey {
    StreamKey {
        conversation: conversation(byte),
        is_reads,
    }
}

/// The memberships as of a checkpoint of shard 0.
fn memberships(sequence: u64, conversations: &[u8]) -> Memberships {
    let membership = |byte: &u8| Membership {
        conversation: conversation(*byte),
        shard: 0,
        changed: 1,
        is_active: true,
    };
    Memberships {
        checkpoints: vec![Checkpoint {
            epoch: Epoch::draw(),
            shard: 0,
            sequence,
            commit_id: Some(CommitId::from_bytes([9; 16])),
        }],
        conversations: conversations.iter().map(membership).collect(),
    }
}

/// A socket and what it hears.
struct Listener {
    outbox: Outbox,
    items: mpsc::Receiver<Item>,
}

impl Listener {
    fn with_room_for(size: usize) -> Self {
        let (items, received) = mpsc::channel(size);
        let outbox = Outbox {
            items,
            overflow: CancellationToken::new(),
        };
        Self {
            outbox,
            items: received,
        }
    }

    fn heard(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.items.try_recv().ok())
            .map(|item| item.said.frame.to_string())
            .collect()
    }
}

fn audience() -> Audience {
    Audience::new(SHARDS)
}

impl Audience {
    /// A socket of a user who is in these conversations as of a checkpoint.
    fn connect(&mut self, name: &str, socket: u64, as_of: u64, conversations: &[u8]) -> Listener {
        let listener = Listener::with_room_for(100);
        assert!(
            self.register(&key(name), SocketId(socket), listener.outbox.clone())
                .is_none()
        );
        self.attach(&key(name), &memberships(as_of, conversations))
            .unwrap();
        self.complete(&key(name));
        listener
    }

    fn said(&mut self, sequence: u64, byte: u8, text: &'static str) {
        let said = Happening::Said(0, Utf8Bytes::from_static(text));
        self.happened(sequence, byte, said);
    }

    fn was_joined(&mut self, sequence: u64, byte: u8, name: &str) {
        self.happened(sequence, byte, Happening::Joined(vec![user(name)]));
    }

    fn happened(&mut self, sequence: u64, byte: u8, happening: Happening) {
        let closed = self.closed[0];
        self.hear(
            (at(sequence), closed),
            &room(byte),
            stream(byte, false),
            vec![happening],
        );
    }
}

#[test]
fn rooms_are_listened_to_from_what_is_known_and_as_long_as_someone_is_there() {
    let mut audience = audience();
    let _ann = audience.connect("ann", 1, 5, &[1]);
    assert_eq!(audience.wants, [Want::Listen(room(1), at(5))]);
    audience.wants.clear();
    let _bob = audience.connect("bob", 2, 6, &[1]);
    audience.remove(&key("ann"), SocketId(1));
    assert_eq!(audience.wants, []);
    audience.remove(&key("bob"), SocketId(2));
    assert_eq!(audience.wants, [Want::Unlisten(room(1), 0)]);
    assert!(audience.users.is_empty() && audience.rooms.is_empty());
}

#[test]
fn what_was_said_and_changed_while_pending_is_not_missed() {
    let mut audience = audience();
    let _bob = audience.connect("bob", 1, 0, &[1, 2, 3]);
    let mut ann = Listener::with_room_for(10);
    audience.register(&key("ann"), SocketId(2), ann.outbox.clone());
    audience.said(5, 1, "before the checkpoint");
    audience.said(7, 1, "after it");
    audience.said(7, 2, "before joining");
    audience.was_joined(8, 2, "ann");
    audience.said(9, 2, "after joining");
    audience.happened(10, 3, Happening::Left(user("ann")));
    audience.said(11, 3, "after leaving");
    audience.attach(&key("ann"), &memberships(6, &[1, 3])).unwrap();
    audience.said(12, 2, "live");
    audience.said(13, 3, "unheard");
    assert_eq!(ann.heard(), ["after it", "after joining", "live"]);
}

#[test]
fn who_left_hears_nothing_more_and_who_joined_does() {
    let mut audience = audience();
    let mut ann = audience.connect("ann", 1, 0, &[1]);
    let _bob = audience.connect("bob", 2, 0, &[1]);
    audience.happened(1, 1, Happening::Left(user("ann")));
    audience.said(2, 1, "unheard");
    audience.was_joined(3, 1, "ann");
    audience.said(4, 1, "heard");
    assert_eq!(ann.heard(), ["heard"]);
}

#[test]
fn who_is_added_hears_everything_from_then_on_though_the_announcement_is_late() {
    let mut audience = audience();
    let mut ann = audience.connect("ann", 1, 5, &[]);
    // Bob came when the room was further already than where ann was added.
    let mut bob = audience.connect("bob", 2, 20, &[1]);
    audience.said(21, 1, "to bob");
    audience.wants.clear();
    audience.announced(&key("ann"), conversation(1), at(10));
    assert_eq!(
        audience.wants,
        [Want::Unlisten(room(1), 0), Want::Listen(room(1), at(9))]
    );
    audience.was_joined(10, 1, "ann");
    audience.said(15, 1, "old to bob");
    audience.said(21, 1, "to bob");
    audience.said(22, 1, "to both");
    assert_eq!(ann.heard(), ["old to bob", "to bob", "to both"]);
    assert_eq!(bob.heard(), ["to bob", "to both"]);
}

#[test]
fn all_who_were_added_at_once_hear_everything_though_the_announcements_are_late() {
    let mut audience = audience();
    let mut ann = audience.connect("ann", 1, 5, &[]);
    let mut cat = audience.connect("cat", 2, 5, &[]);
    // Bob came when the room was further already than where the others were added.
    let _bob = audience.connect("bob", 3, 20, &[1]);
    audience.announced(&key("ann"), conversation(1), at(10));
    audience.announced(&key("cat"), conversation(1), at(10));
    audience.happened(10, 1, Happening::Joined(vec![user("ann"), user("cat")]));
    audience.said(15, 1, "old to bob");
    audience.said(22, 1, "to all");
    assert_eq!(ann.heard(), ["old to bob", "to all"]);
    assert_eq!(cat.heard(), ["old to bob", "to all"]);
}

#[test]
fn who_is_expected_keeps_the_room_open_and_hears_nothing_before_the_log_says_so() {
    let mut audience = audience();
    let mut ann = audience.connect("ann", 1, 5, &[]);
    audience.announced(&key("ann"), conversation(1), at(10));
    assert_eq!(audience.wants, [Want::Listen(room(1), at(9))]);
    audience.wants.clear();
    // Again, and of something that is known already: nothing more is wanted.
    audience.announced(&key("ann"), conversation(1), at(10));
    audience.announced(&key("ann"), conversation(2), at(5));
    assert_eq!(audience.wants, []);
    audience.was_joined(10, 1, "ann");
    audience.said(11, 1, "heard");
    audience.announced(&key("ann"), conversation(1), at(10));
    assert_eq!(ann.heard(), ["heard"]);
    audience.announced(&key("ann"), conversation(3), at(12));
    audience.wants.clear();
    audience.remove(&key("ann"), SocketId(1));
    assert_eq!(audience.wants.len(), 2);
    assert!(audience.rooms.is_empty());
}

#[test]
fn what_a_feed_tells_of_an_earlier_time_of_a_room_is_not_taken_for_the_present() {
    let mut audience = audience();
    let _bob = audience.connect("bob", 1, 0, &[1]);
    audience.remove(&key("bob"), SocketId(1));
    let mut ann = audience.connect("ann", 2, 4, &[1]);
    // The feed has not closed bob's room yet: 5 was dropped, and 6 comes before 5 is heard again.
    let said = |text| vec![Happening::Said(0, Utf8Bytes::from_static(text))];
    audience.hear((at(6), 0), &room(1), stream(1, false), said("6"));
    for (sequence, text) in [(5, "5"), (6, "6")] {
        audience.hear((at(sequence), 1), &room(1), stream(1, false), said(text));
    }
    assert_eq!(ann.heard(), ["5", "6"]);
}

#[test]
fn another_tenants_user_of_the_same_name_hears_nothing() {
    let mut audience = audience();
    let mut ann = audience.connect("ann", 1, 0, &[1]);
    let mut listener = Listener::with_room_for(10);
    let other = (TenantId::parse("u").unwrap(), user("ann"));
    audience.register(&other, SocketId(2), listener.outbox.clone());
    audience.attach(&other, &memberships(0, &[1])).unwrap();
    audience.said(1, 1, "of one tenant");
    assert_eq!(ann.heard(), ["of one tenant"]);
    assert!(listener.heard().is_empty());
}

#[test]
fn a_socket_that_cannot_keep_up_is_told_and_no_other_notices() {
    let mut audience = audience();
    let mut quick = audience.connect("ann", 1, 0, &[1]);
    let mut slow = Listener::with_room_for(1);
    assert!(
        audience
            .register(&key("ann"), SocketId(2), slow.outbox.clone())
            .is_some()
    );
    audience.said(1, 1, "a");
    audience.said(2, 1, "b");
    assert!(slow.outbox.overflow.is_cancelled() && !quick.outbox.overflow.is_cancelled());
    assert_eq!(slow.heard(), ["a"]);
    assert_eq!(quick.heard(), ["a", "b"]);
}

#[test]
fn memberships_older_than_what_is_known_are_read_again() {
    let mut audience = audience();
    let _bob = audience.connect("bob", 1, 10, &[1]);
    let mut ann = Listener::with_room_for(RECENT + 10);
    audience.register(&key("ann"), SocketId(2), ann.outbox.clone());
    assert_eq!(audience.attach(&key("ann"), &memberships(9, &[1])), Err(Stale));
    for sequence in 11..=RECENT as u64 + 12 {
        audience.said(sequence, 1, "x");
    }
    assert_eq!(audience.attach(&key("ann"), &memberships(11, &[1])), Err(Stale));
    assert!(audience.attach(&key("ann"), &memberships(12, &[1])).is_ok());
    assert_eq!(ann.heard().len(), RECENT);
}

#[test]
fn a_further_socket_is_told_what_the_user_was_given() {
    let mut audience = audience();
    let mut first = audience.connect("ann", 1, 5, &[1]);
    audience.said(8, 1, "a");
    audience.set_safe(vec![Verified::at(6, None), Verified::at(3, None)]);
    let mut second = Listener::with_room_for(10);
    let given = audience
        .register(&key("ann"), SocketId(2), second.outbox.clone())
        .unwrap();
    assert_eq!((given.verified(0).sequence, given.verified(1).sequence), (6, 3));
    assert!(given.has(0, stream(1, false), Spot::end_of(8)));
    assert!(!given.has(0, stream(2, false), Spot::end_of(8)));
    audience.said(9, 1, "b");
    assert_eq!(first.heard(), ["a", "b"]);
    let item = second.items.try_recv().unwrap();
    assert_eq!(item.safe.as_deref().map(|safe| safe[0].sequence), Some(6));
    assert!(second.items.try_recv().is_err());
}
