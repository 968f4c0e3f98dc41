//! Identifiers: parsed once at the edge, typed from there on.
//!
//! Identifiers of the outside (tenants, users, client ids) are opaque strings with a length and no
//! control characters. Identifiers of ours are 128 bits, written as ULIDs. Where one is derived rather
//! than drawn, it is a prefix of SHA-256 over length-prefixed parts, so that no two lists of parts can
//! spell the same bytes.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::Ordinal;

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("{kind} must not be empty")]
    Empty {
        /// What was being parsed.
        kind: &'static str,
    },
    /// The text is longer than the identifier may be.
    #[error("{kind} must be at most {max} bytes long")]
    TooLong {
        /// What was being parsed.
        kind: &'static str,
        /// The most bytes it may have.
        max: usize,
    },
    /// The text has a character that no identifier may have.
    #[error("{kind} must not contain control characters")]
    Control {
        /// What was being parsed.
        kind: &'static str,
    },
    /// The text is not in the one canonical form of this identifier.
    #[error("{kind} is malformed")]
    Malformed {
        /// What was being parsed.
        kind: &'static str,
    },
}

fn check_opaque(kind: &'static str, text: &str, max: usize) -> Result<(), IdError> {
    if text.is_empty() {
        Err(IdError::Empty { kind })
    } else if text.len() > max {
        Err(IdError::TooLong { kind, max })
    } else if text.chars().any(char::is_control) {
        Err(IdError::Control { kind })
    } else {
        Ok(())
    }
}

/// Reads an identifier from the text it is written as.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err = IdError>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identifier")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the identifier from text of the outside.
            ///
            /// # Errors
            /// [`IdError`] when the text is empty, too long or has control characters.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check_opaque($kind, &text, $max)?;
                Ok(Self(text.into()))
            }

            /// The identifier as it came from the outside.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    };
}

opaque_id! {
    /// A tenant: nothing ever crosses from one to another. At most 64 bytes.
    TenantId, "a tenant id", 64
}
opaque_id! {
    /// A user, as the identity provider names it. At most 128 bytes.
    UserId, "a user id", 128
}
opaque_id! {
    /// What a client calls its own command (`tempId`, `Idempotency-Key`), so that a repeat is recognised.
    /// At most 128 bytes.
    ClientId, "a client id", 128
}

macro_rules! bits_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// The identifier with these 128 bits.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }

            /// The 128 bits.
            #[must_use]
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; ulid::ULID_LEN];
                f.pad(self.0.array_to_str(&mut text))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let malformed = IdError::Malformed { kind: $kind };
                let ulid = Ulid::from_string(text).map_err(|_| malformed.clone())?;
                let id = Self(ulid);
                // Only the canonical spelling: two spellings of one id would be two keys elsewhere.
                let mut canonical = [0; ulid::ULID_LEN];
                if ulid.array_to_str(&mut canonical) == text {
                    Ok(id)
                } else {
                    Err(malformed)
                }
            }
        }

        impl From<Ulid> for $name {
            fn from(ulid: Ulid) -> Self {
                Self(ulid)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; ulid::ULID_LEN];
                serializer.serialize_str(self.0.array_to_str(&mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    };
}

bits_id! {
    /// A file that was uploaded.
    AttachmentId, "an attachment id"
}
bits_id! {
    /// A conversation: a ULID, or derived where creation must be idempotent.
    ConversationId, "a conversation id"
}
bits_id! {
    /// An event.
    EventId, "an event id"
}
bits_id! {
    /// A commit: the events of one append.
    CommitId, "a commit id"
}
bits_id! {
    /// A command: drawn, or derived from the client's own id for it.
    CommandId, "a command id"
}
bits_id! {
    /// What a command asked for, as 128 bits: a repeat with another payload has another fingerprint.
    Fingerprint, "a fingerprint"
}
bits_id! {
    /// A push subscription: the same device has the same one.
    PushId, "a push subscription id"
}

/// The first 128 bits of SHA-256 over the parts, each preceded by its length as eight bytes.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut prefix = [0; 16];
    prefix.copy_from_slice(&hash.finalize()[..16]);
    prefix
}

impl ConversationId {
    /// The direct conversation of two users: the same for both, whoever asks first and wherever.
    #[must_use]
    pub fn direct(tenant: &TenantId, one: &UserId, other: &UserId) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self::from_bytes(digest(&[
            b"direct",
            tenant.as_str().as_bytes(),
            first.as_str().as_bytes(),
            second.as_str().as_bytes(),
        ]))
    }

    /// The conversation that a keyed creation makes: a repeat names the same one.
    #[must_use]
    pub fn keyed(tenant: &TenantId, creator: &UserId, key: &ClientId) -> Self {
        Self::from_bytes(digest(&[
            b"keyed",
            tenant.as_str().as_bytes(),
            creator.as_str().as_bytes(),
            key.as_str().as_bytes(),
        ]))
    }

    /// The conversation that an import of this source makes: a second run continues the same one.
    #[must_use]
    pub fn imported(tenant: &TenantId, format: &str, source: &[&[u8]]) -> Self {
        let mut parts: Vec<&[u8]> = vec![b"import", tenant.as_str().as_bytes(), format.as_bytes()];
        parts.extend(source);
        Self::from_bytes(digest(&parts))
    }
}

impl CommandId {
    /// The command that a client names by its own id, scoped to tenant, user, operation and target.
    #[must_use]
    pub fn derive(
        tenant: &TenantId,
        user: &UserId,
        operation: &str,
        target: &str,
        client_id: &ClientId,
    ) -> Self {
        Self::from_bytes(digest(&[
            b"command",
            tenant.as_str().as_bytes(),
            user.as_str().as_bytes(),
            operation.as_bytes(),
            target.as_bytes(),
            client_id.as_str().as_bytes(),
        ]))
    }
}

impl PushId {
    /// The subscription of this endpoint. A user who subscribes it again has no second one.
    #[must_use]
    pub fn of(tenant: &TenantId, user: &UserId, endpoint: &str) -> Self {
        Self::from_bytes(digest(&[
            b"push",
            tenant.as_str().as_bytes(),
            user.as_str().as_bytes(),
            endpoint.as_bytes(),
        ]))
    }
}

impl Fingerprint {
    /// The fingerprint of a payload, given as its parts in a fixed order.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        Self::from_bytes(digest(parts))
    }
}

/// A message: one opaque token that encodes its conversation and ordinal, so it routes without a look-up.
///
/// Written as the conversation's ULID followed by the ordinal in Crockford's base 32 without leading
/// zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// The conversation the message is in.
    pub conversation: ConversationId,
    /// The message's number there.
    pub ordinal: Ordinal,
}

/// The largest ordinal that an id names: what databases count with has 63 bits, and no conversation gets there.
const MAX_ORDINAL: u64 = i64::MAX as u64;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const MESSAGE_ID: &str = "a message id";

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 13];
        let mut start = digits.len();
        let mut rest = self.ordinal.get();
        while rest > 0 {
            start -= 1;
            digits[start] = CROCKFORD[(rest % 32) as usize];
            rest /= 32;
        }
        fmt::Display::fmt(&self.conversation, f)?;
        f.write_str(std::str::from_utf8(&digits[start..]).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for MessageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let malformed = || IdError::Malformed { kind: MESSAGE_ID };
        let (conversation, digits) = text.split_at_checked(ulid::ULID_LEN).ok_or_else(malformed)?;
        let mut ordinal: u64 = 0;
        for digit in digits.bytes() {
            let value = CROCKFORD.iter().position(|d| *d == digit).ok_or_else(malformed)?;
            ordinal = ordinal
                .checked_mul(32)
                .and_then(|o| o.checked_add(value as u64))
                .ok_or_else(malformed)?;
        }
        let id = Self {
            conversation: conversation.parse().map_err(|_| malformed())?,
            ordinal: Ordinal::new(ordinal)
                .filter(|ordinal| ordinal.get() <= MAX_ORDINAL)
                .ok_or_else(malformed)?,
        };
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(malformed())
        }
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn opaque_ids_have_a_length_and_no_control_characters() {
        assert_eq!(UserId::parse(""), Err(IdError::Empty { kind: "a user id" }));
        assert_eq!(UserId::parse("a\n"), Err(IdError::Control { kind: "a user id" }));
        assert_eq!(
            TenantId::parse("x".repeat(65)),
            Err(IdError::TooLong {
                kind: "a tenant id",
                max: 64
            })
        );
        assert_eq!(user("Nguyễn.*>").as_str(), "Nguyễn.*>");
    }

    #[test]
    fn a_direct_conversation_is_the_same_for_both_and_for_nobody_else() {
        let tenant = TenantId::parse("t").unwrap();
        let id = ConversationId::direct(&tenant, &user("ab"), &user("c"));
        assert_eq!(id, ConversationId::direct(&tenant, &user("c"), &user("ab")));
        assert_ne!(id, ConversationId::direct(&tenant, &user("a"), &user("bc")));
        assert_ne!(
            id,
            ConversationId::direct(&TenantId::parse("u").unwrap(), &user("ab"), &user("c"))
        );
        // Pinned: conversations that exist are found by this id for ever.
        assert_eq!(id.to_string(), "0K5GZZKD2WMJ7T957P96PN51TP");
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = ConversationId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_lowercase().parse::<ConversationId>().is_err());
        let message = MessageId {
            conversation: id,
            ordinal: Ordinal::new(1).unwrap(),
        };
        assert!(format!("{id}01").parse::<MessageId>().is_err(), "leading zero");
        assert!(id.to_string().parse::<MessageId>().is_err(), "no ordinal");
        assert!(format!("{message}!").parse::<MessageId>().is_err());
        assert!(
            format!("{id}ZZZZZZZZZZZZZZ").parse::<MessageId>().is_err(),
            "beyond 64 bits"
        );
        assert!(format!("{id}7ZZZZZZZZZZZZ").parse::<MessageId>().is_ok());
        assert!(
            format!("{id}8000000000000").parse::<MessageId>().is_err(),
            "beyond 63 bits"
        );
        assert!("é".repeat(20).parse::<MessageId>().is_err());
    }

    proptest! {
        #[test]
        fn message_ids_round_trip(bytes: [u8; 16], ordinal in 1..=MAX_ORDINAL) {
            let id = MessageId {
                conversation: ConversationId::from_bytes(bytes),
                ordinal: Ordinal::new(ordinal).unwrap(),
            };
            prop_assert_eq!(id.to_string().parse::<MessageId>(), Ok(id));
        }

        #[test]
        fn any_text_parses_or_is_refused(text in ".*") {
            if let Ok(id) = text.parse::<MessageId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
