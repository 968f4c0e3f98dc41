//! The names of streams: subjects, partitions and shards are spelled here and nowhere else.

use std::fmt;

use domain::{ConversationId, TenantId, UserId};
use sha2::{Digest, Sha256};

/// How many partitions there are, for ever: a stream never changes its partition.
pub const PARTITIONS: u16 = 256;

/// The events of one aggregate, or the lane of read marks beside a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// A conversation's own events.
    Conversation(TenantId, ConversationId),
    /// The read marks of a conversation's members: without stream versions or expectations.
    Reads(TenantId, ConversationId),
    /// A user's events.
    User(TenantId, UserId),
}

/// Why a text is not the subject of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the subject of a stream: {0}")]
pub struct SubjectError(String);

impl Stream {
    /// The tenant the stream belongs to.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        match self {
            Self::Conversation(tenant, _) | Self::Reads(tenant, _) | Self::User(tenant, _) => tenant,
        }
    }

    /// The partition: the first byte of SHA-256 over the tenant, the kind and the id as they stand in
    /// the subject. Read marks share the partition of their conversation.
    #[must_use]
    pub fn partition(&self) -> u16 {
        let (kind, id) = self.kind_and_id();
        let hash = Sha256::digest(format!("{}.{kind}.{id}", encode(self.tenant().as_str())));
        u16::from(hash[0]) % PARTITIONS
    }

    /// The subject, `evt.{partition}.{tenant}.conv.{id}` and the like.
    #[must_use]
    pub fn subject(&self) -> String {
        let (kind, id) = self.kind_and_id();
        let tenant = encode(self.tenant().as_str());
        let lane = if matches!(self, Self::Reads(..)) {
            ".reads"
        } else {
            ""
        };
        format!("evt.{}.{tenant}.{kind}.{id}{lane}", self.partition())
    }

    /// The stream with this subject.
    ///
    /// # Errors
    /// [`SubjectError`] for any text that [`Stream::subject`] does not spell.
    pub fn parse(subject: &str) -> Result<Self, SubjectError> {
        let error = || SubjectError(subject.to_owned());
        let mut tokens = subject.split('.');
        let mut next = || tokens.next().ok_or_else(error);
        let (_prefix, _partition) = (next()?, next()?);
        let tenant = decode(next()?)
            .and_then(|t| TenantId::parse(t).ok())
            .ok_or_else(error)?;
        let (kind, id) = (next()?, next()?);
        let lane = tokens.next();
        let conversation = || id.parse::<ConversationId>().map_err(|_| error());
        let stream = match (kind, lane) {
            ("conv", None) => Self::Conversation(tenant, conversation()?),
            ("conv", Some("reads")) => Self::Reads(tenant, conversation()?),
            ("user", None) => Self::User(
                tenant,
                decode(id).and_then(|u| UserId::parse(u).ok()).ok_or_else(error)?,
            ),
            _ => return Err(error()),
        };
        if stream.subject() == subject {
            Ok(stream)
        } else {
            Err(error())
        }
    }

    fn kind_and_id(&self) -> (&'static str, String) {
        match self {
            Self::Conversation(_, id) | Self::Reads(_, id) => ("conv", id.to_string()),
            Self::User(_, id) => ("user", encode(id.as_str())),
        }
    }
}

/// Where commits come by as they are stored: [`Stream::subject`] with another beginning.
const LIVE: &str = "live.";
const STORED: &str = "evt.";

impl Stream {
    /// The subject by which the stream's commits come as they are stored.
    #[must_use]
    pub fn live_subject(&self) -> String {
        self.subject().replacen(STORED, LIVE, 1)
    }

    /// The stream whose commits come by this subject.
    ///
    /// # Errors
    /// [`SubjectError`] for any text that [`Stream::live_subject`] does not spell.
    pub fn parse_live(subject: &str) -> Result<Self, SubjectError> {
        match subject.strip_prefix(LIVE) {
            Some(rest) => Self::parse(&format!("{STORED}{rest}")),
            None => Err(SubjectError(subject.to_owned())),
        }
    }
}

/// The subjects by which everything of a partition comes as it is stored.
#[must_use]
pub fn live_partition(partition: u16) -> String {
    format!("{LIVE}{partition}.>")
}

/// Where a shard's digests are published.
#[must_use]
pub fn digest(shard: u16) -> String {
    format!("digest.{shard}")
}

/// Where it is published how far a shard is projected.
#[must_use]
pub fn projected(shard: u16) -> String {
    format!("projected.{shard}")
}

/// The shard of a subject that [`projected`] spells.
#[must_use]
pub fn projected_shard(subject: &str) -> Option<u16> {
    subject.strip_prefix("projected.")?.parse().ok()
}

/// All subjects that [`projected`] spells.
pub const PROJECTED: &str = "projected.*";

/// Where it is announced that a user became a member of a conversation.
#[must_use]
pub fn announce(tenant: &TenantId, user: &UserId) -> String {
    format!("announce.{}.{}", encode(tenant.as_str()), encode(user.as_str()))
}

/// All subjects that [`announce`] spells.
pub const ANNOUNCEMENTS: &str = "announce.*.*";

/// The user that something is announced to by this subject.
#[must_use]
pub fn announced_to(subject: &str) -> Option<(TenantId, UserId)> {
    let (tenant, user) = subject.strip_prefix("announce.")?.split_once('.')?;
    let tenant = TenantId::parse(decode(tenant)?).ok()?;
    let user = UserId::parse(decode(user)?).ok()?;
    (announce(&tenant, &user) == subject).then_some((tenant, user))
}

/// Where nodes are asked who is online there.
pub const ROLL_CALL: &str = "rollcall";

/// How the subjects begin by which they answer.
pub const ROLL_CALL_ANSWERS: &str = "rollcall.answer.";

/// Where the lease of this name is kept.
#[must_use]
pub fn lease(name: &str) -> String {
    format!("lease.{}", encode(name))
}

/// All subjects that [`lease`] spells.
pub const LEASES: &str = "lease.>";

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject())
    }
}

/// Spells an id of the outside with letters, digits, `_` and `-` alone: every other byte as `=` and two
/// hex digits. `.`, `*`, `>` and spaces mean something in a subject and never enter it.
fn encode(id: &str) -> String {
    use std::fmt::Write;
    let mut token = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            token.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(token, "={byte:02X}");
        }
    }
    token
}

fn decode(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte == b'=' {
            let (hex, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).unwrap()
    }

    /// Pinned for ever: streams that exist are found by these subjects in these partitions.
    #[test]
    fn subjects_and_partitions_never_change() {
        let id = ConversationId::from_bytes([0x2a; 16]);
        let golden = [
            (
                Stream::Conversation(tenant("acme"), id),
                include_str!("../golden/subject.conversation.txt"),
            ),
            (
                Stream::Reads(tenant("acme"), id),
                include_str!("../golden/subject.reads.txt"),
            ),
            (
                Stream::User(tenant("a.b *"), UserId::parse("đ>7").unwrap()),
                include_str!("../golden/subject.user.txt"),
            ),
        ];
        for (stream, subject) in golden {
            assert_eq!(stream.subject(), subject.trim());
            assert_eq!(Stream::parse_live(&stream.live_subject()).as_ref(), Ok(&stream));
            assert_eq!(Stream::parse(subject.trim()), Ok(stream));
        }
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for text in [
            "",
            "evt",
            "evt.1.t.conv",
            "evt.0.t.conv.x",
            "evt.300.t.user.x",
            "evt.1.t.user.x.y",
        ] {
            assert!(Stream::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ids_of_the_outside_never_inject(t in "\\PC{1,16}", u in "\\PC{1,30}") {
            prop_assume!(t.len() <= 64 && u.len() <= 128);
            let stream = Stream::User(tenant(&t), UserId::parse(u.clone()).unwrap());
            let subject = stream.subject();
            prop_assert_eq!(subject.split('.').count(), 5);
            prop_assert!(!subject.contains(['*', '>', ' ']));
            prop_assert_eq!(Stream::parse(&subject), Ok(stream));
            let (tenant, user) = (tenant(&t), UserId::parse(u).unwrap());
            let subject = announce(&tenant, &user);
            prop_assert_eq!(subject.split('.').count(), 3);
            prop_assert_eq!(announced_to(&subject), Some((tenant, user)));
        }
    }
}
