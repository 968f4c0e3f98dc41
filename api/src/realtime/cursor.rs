//! Cursors: what one socket was given, so that the next one can be given exactly the rest.
//!
//! Frames of one shard do not come in the order of the log: each conversation comes in its order, and a
//! conversation whose frame was lost on the way is healed while others go on. So a cursor holds per
//! shard how far *everything* was delivered, and of each stream that is further how far that one is.
//! Clients see an opaque text: sealed, and bound to the user and to the log's incarnation.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{CommitId, ConversationId};
use eventstore::sealing::{self, Cipher};
use eventstore::{Checkpoint, Epoch, Stream};

use super::audience::UserKey;

/// The first byte of a cursor: how the rest is to be read.
const VERSION: u8 = 1;
/// The longest cursor that is looked at.
const MAX_BYTES: usize = 64 * 1024;

/// A stream as a cursor names it: a conversation's own, or its read marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StreamKey {
    pub(super) conversation: ConversationId,
    pub(super) is_reads: bool,
}

impl StreamKey {
    /// The key of a stream that is delivered; `None` for those of users.
    pub(super) const fn of(stream: &Stream) -> Option<Self> {
        match stream {
            Stream::Conversation(_, id) => Some(Self {
                conversation: *id,
                is_reads: false,
            }),
            Stream::Reads(_, id) => Some(Self {
                conversation: *id,
                is_reads: true,
            }),
            Stream::User(..) => None,
        }
    }
}

/// One event of a stream: the commit that holds it, and which of its events it is. A commit is several
/// frames, and a socket may end between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) sequence: u64,
    pub(super) event: u32,
}

impl Spot {
    /// The last event of a commit, whichever number it has.
    pub(super) const fn end_of(sequence: u64) -> Self {
        Self {
            sequence,
            event: u32::MAX,
        }
    }
}

/// A place in a shard up to which everything was delivered, and a trace of the commit found there: a
/// log that was restored and has gone another way since has another commit there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) sequence: u64,
    pub(super) trace: [u8; 4],
}

impl Verified {
    /// The place of a commit.
    pub(super) fn at(sequence: u64, commit: Option<CommitId>) -> Self {
        let mut trace = [0; 4];
        if let Some(commit) = commit {
            // The last bytes of a ULID are the random ones.
            trace.copy_from_slice(&commit.to_bytes()[12..]);
        }
        Self { sequence, trace }
    }
}

impl From<&Checkpoint> for Verified {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self::at(checkpoint.sequence, checkpoint.commit_id)
    }
}

/// The places of these checkpoints, one of each shard; the beginning where there is none.
pub(super) fn as_of(checkpoints: &[Checkpoint], shards: usize) -> Vec<Verified> {
    let mut places = vec![Verified::default(); shards];
    for checkpoint in checkpoints {
        if let Some(place) = places.get_mut(usize::from(checkpoint.shard)) {
            *place = checkpoint.into();
        }
    }
    places
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shard {
    verified: Verified,
    /// The newest event that was delivered of each stream that is further.
    above: BTreeMap<StreamKey, Spot>,
}

/// What one socket was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    shards: Vec<Shard>,
}

impl Cursor {
    /// Everything up to these places was delivered, and nothing above.
    pub(super) fn new(verified: &[Verified]) -> Self {
        let shards = verified.iter().map(|verified| Shard {
            verified: *verified,
            above: BTreeMap::new(),
        });
        Self {
            shards: shards.collect(),
        }
    }

    /// How many shards it speaks of.
    pub(super) fn shards(&self) -> u16 {
        u16::try_from(self.shards.len()).unwrap_or(u16::MAX)
    }

    /// Up to where everything of a shard was delivered.
    pub(super) fn verified(&self, shard: u16) -> Verified {
        self.shard(shard).map_or_else(Verified::default, |s| s.verified)
    }

    /// The newest sequence of a shard that was delivered of any stream.
    pub(super) fn newest(&self, shard: u16) -> u64 {
        self.shard(shard).map_or(0, |s| {
            let above = s.above.values().map(|spot| spot.sequence).max();
            s.verified.sequence.max(above.unwrap_or(0))
        })
    }

    /// Whether this event of a stream was delivered.
    pub(super) fn has(&self, shard: u16, stream: StreamKey, spot: Spot) -> bool {
        self.shard(shard).is_some_and(|s| {
            spot.sequence <= s.verified.sequence || s.above.get(&stream).is_some_and(|above| spot <= *above)
        })
    }

    /// An event of a stream was delivered, and everything of that stream before it.
    pub(super) fn note(&mut self, shard: u16, stream: StreamKey, spot: Spot) {
        if let Some(s) = self.shards.get_mut(usize::from(shard))
            && spot.sequence > s.verified.sequence
        {
            let above = s.above.entry(stream).or_insert(spot);
            *above = spot.max(*above);
        }
    }

    /// Everything of a shard up to this place was delivered.
    pub(super) fn advance(&mut self, shard: u16, verified: Verified) {
        if let Some(s) = self.shards.get_mut(usize::from(shard))
            && verified.sequence > s.verified.sequence
        {
            s.verified = verified;
            s.above.retain(|_, above| above.sequence > verified.sequence);
        }
    }

    /// What was delivered to the other was delivered to this one too.
    pub(super) fn join(&mut self, other: &Self) {
        for (shard, theirs) in (0..).zip(&other.shards) {
            self.advance(shard, theirs.verified);
            for (stream, above) in &theirs.above {
                self.note(shard, *stream, *above);
            }
        }
    }

    fn shard(&self, shard: u16) -> Option<&Shard> {
        self.shards.get(usize::from(shard))
    }

    fn encode(&self) -> Vec<u8> {
        let streams: usize = self.shards.iter().map(|shard| shard.above.len()).sum();
        let mut bytes = Vec::with_capacity(64 + 16 * self.shards.len() + 24 * streams);
        bytes.push(VERSION);
        put(&mut bytes, self.shards.len() as u64);
        for shard in &self.shards {
            put(&mut bytes, shard.verified.sequence);
            bytes.extend(shard.verified.trace);
            put(&mut bytes, shard.above.len() as u64);
            for (stream, above) in &shard.above {
                bytes.extend(stream.conversation.to_bytes());
                let further = above.sequence - shard.verified.sequence;
                put(&mut bytes, further << 1 | u64::from(stream.is_reads));
                // The end of a commit is the usual place, and becomes the shortest number.
                put(&mut bytes, u64::from(above.event.wrapping_add(1)));
            }
        }
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        if take::<1>(bytes)? != [VERSION] {
            return None;
        }
        let count = get(bytes)?;
        let mut shards = Vec::new();
        for _ in 0..count {
            let verified = Verified {
                sequence: get(bytes)?,
                trace: take(bytes)?,
            };
            let mut above = BTreeMap::new();
            for _ in 0..get(bytes)? {
                let conversation = ConversationId::from_bytes(take(bytes)?);
                let further = get(bytes)?;
                let is_reads = further & 1 == 1;
                let stream = StreamKey {
                    conversation,
                    is_reads,
                };
                let spot = Spot {
                    sequence: verified.sequence.checked_add(further >> 1)?,
                    event: u32::try_from(get(bytes)?).ok()?.wrapping_sub(1),
                };
                above.insert(stream, spot);
            }
            shards.push(Shard { verified, above });
        }
        bytes.is_empty().then_some(Self { shards })
    }
}

/// A number in as few bytes of seven bits as it needs (LEB128).
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(bytes)?;
        let part = u64::from(byte & 0x7f);
        number |= part
            .checked_shl(shift)
            .filter(|shifted| shifted >> shift == part)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// Seals and opens cursors, with a key that every node of a deployment has.
pub struct Cursors {
    cipher: Cipher,
    epoch: Epoch,
}

/// Seals the cursors of one socket. Each frame has one, so this costs little.
pub(super) struct Sealer {
    sealer: sealing::Sealer,
    bound_to: Box<[u8]>,
}

impl Sealer {
    /// Adds the text of a cursor to a text.
    pub(super) fn seal_into(&mut self, cursor: &Cursor, text: &mut String) {
        let sealed = self.sealer.seal(&cursor.encode(), &self.bound_to);
        URL_SAFE_NO_PAD.encode_string(sealed, text);
    }
}

impl Cursors {
    /// Cursors of this incarnation of the log, under this key.
    #[must_use]
    pub fn new(key: [u8; 32], epoch: Epoch) -> Self {
        Self {
            cipher: Cipher::new(&key),
            epoch,
        }
    }

    /// Seals what one socket of the user is given.
    pub(super) fn sealer(&self, user: &UserKey) -> Sealer {
        Sealer {
            sealer: self.cipher.sealer(),
            bound_to: self.bound_to(user).into(),
        }
    }

    /// What the user was given; `None` when this is not a cursor of that user in this incarnation of the
    /// log.
    pub(super) fn open(&self, user: &UserKey, text: &str) -> Option<Cursor> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let plain = self.cipher.open(&bytes, &self.bound_to(user))?;
        Cursor::decode(&plain)
    }

    fn bound_to(&self, (tenant, user): &UserKey) -> Vec<u8> {
        // No epoch holds the separator, and no tenant is followed by anything but its user: with its
        // length in front, the pair is unambiguous.
        format!("{}\0{}\0{tenant}{user}", self.epoch, tenant.as_str().len()).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use domain::{TenantId, UserId};
    use proptest::prelude::*;

    use super::*;

    fn user(tenant: &str, user: &str) -> UserKey {
        (TenantId::parse(tenant).unwrap(), UserId::parse(user).unwrap())
    }

    fn stream(byte: u8, is_reads: bool) -> StreamKey {
        StreamKey {
            conversation: ConversationId::from_bytes([byte; 16]),
            is_reads,
        }
    }

    fn at(sequence: u64) -> Verified {
        Verified::at(sequence, Some(CommitId::from_bytes([7; 16])))
    }

    fn spot(sequence: u64, event: u32) -> Spot {
        Spot { sequence, event }
    }

    #[test]
    fn what_is_verified_need_not_be_noted() {
        let mut cursor = Cursor::new(&[at(10), at(0)]);
        assert!(cursor.has(0, stream(1, false), Spot::end_of(10)));
        assert!(!cursor.has(0, stream(1, false), spot(11, 0)));
        cursor.note(0, stream(1, false), spot(15, 1));
        cursor.note(0, stream(2, true), spot(12, 0));
        for (missing, at) in [(false, spot(14, 9)), (false, spot(15, 1)), (true, spot(15, 2))] {
            assert_eq!(cursor.has(0, stream(1, false), at), !missing);
        }
        assert!(!cursor.has(0, stream(1, true), spot(14, 0)) && !cursor.has(1, stream(1, false), spot(1, 0)));
        assert_eq!((cursor.newest(0), cursor.newest(1)), (15, 0));
        cursor.advance(0, at(12));
        cursor.advance(0, at(11));
        assert_eq!(cursor.verified(0).sequence, 12);
        assert_eq!(cursor.shards[0].above.len(), 1);
        cursor.note(0, stream(2, true), spot(12, 3));
        assert_eq!(cursor.shards[0].above.len(), 1);
    }

    #[test]
    fn a_cursor_opens_for_its_user_in_its_log_alone() {
        let epoch = Epoch::draw();
        let cursors = Cursors::new([1; 32], epoch);
        let mut cursor = Cursor::new(&[at(10), at(300)]);
        cursor.note(1, stream(1, false), spot(301, 2));
        let mut sealer = cursors.sealer(&user("t", "ann"));
        let [text, next] = [(); 2].map(|()| {
            let mut text = String::new();
            sealer.seal_into(&cursor, &mut text);
            text
        });
        assert_ne!(text, next);
        for text in [&text, &next] {
            assert_eq!(cursors.open(&user("t", "ann"), text), Some(cursor.clone()));
        }
        for (other, of) in [
            (&cursors, user("t", "bob")),
            (&cursors, user("ta", "nn")),
            (&Cursors::new([1; 32], Epoch::draw()), user("t", "ann")),
            (&Cursors::new([2; 32], epoch), user("t", "ann")),
        ] {
            assert_eq!(other.open(&of, &text), None);
        }
        for bad in [
            "",
            "x",
            "AAAA",
            &text[1..],
            &text[..text.len() - 2],
            &"A".repeat(MAX_BYTES + 1),
        ] {
            assert_eq!(cursors.open(&user("t", "ann"), bad), None, "{bad:.20}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(shards in prop::collection::vec(
            (any::<u32>(), any::<[u8; 4]>(), prop::collection::btree_map((any::<u8>(), any::<bool>()), (1_u64..1 << 40, any::<u32>()), 0..5)),
            0..6,
        )) {
            let shards = shards.into_iter().map(|(sequence, trace, above)| {
                let sequence = u64::from(sequence);
                let above = above.into_iter().map(|((byte, reads), (further, event))| (stream(byte, reads), spot(sequence + further, event)));
                Shard { verified: Verified { sequence, trace }, above: above.collect() }
            });
            let cursor = Cursor { shards: shards.collect() };
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Cursor::decode(&bytes);
        }
    }
}
