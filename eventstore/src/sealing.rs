//! What people wrote, under their keys: the one module that seals and opens.
//!
//! Each user has a key that lives outside the log. A sealed body is XChaCha20-Poly1305 under the key of
//! the person who wrote it, with a random nonce of 24 bytes in front, bound to the event's id and type,
//! so that it can be moved nowhere else. Once the key is deleted, the body is noise for ever, and the
//! log stays as it is.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use domain::{EventId, Private, TenantId, UserId};
use rand::Rng;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

mod cipher;
pub mod postgres;
pub mod sqlite;
mod vault;

pub use cipher::{Cipher, Sealer};
pub use vault::Vault;

/// Names a key. A user who is erased and comes back gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Ulid);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyId {
    type Err = ulid::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ulid::from_string(text).map(Self)
    }
}

/// A user's key: 256 bits that are never logged.
#[derive(Clone)]
pub struct UserKey {
    /// Its name.
    pub id: KeyId,
    secret: [u8; 32],
}

impl UserKey {
    /// A new random key.
    #[must_use]
    pub fn draw() -> Self {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        Self {
            id: KeyId(Ulid::generate()),
            secret,
        }
    }

    /// The key with this name and these bits.
    #[must_use]
    pub const fn new(id: KeyId, secret: [u8; 32]) -> Self {
        Self { id, secret }
    }

    /// The bits, for a [`KeyStore`] to keep.
    #[must_use]
    pub const fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    const fn cipher(&self) -> Cipher {
        Cipher::new(&self.secret)
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The keys are away.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the keys are unavailable: {0}")]
pub struct KeysUnavailable(pub String);

/// Keeps the keys of users.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The key of each of these users, in the same order. A missing one is drawn, and is durable when
    /// the call returns: nothing may be sealed under a key that a crash could lose.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the store is away.
    async fn current(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable>;

    /// Those of the keys that still exist.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the store is away.
    async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable>;

    /// Whether the store answers that it has no keys any more, as opposed to none for someone. Nothing may
    /// be sealed then, not under remembered keys either: nobody could ever open it.
    fn are_lost(&self) -> bool {
        false
    }
}

/// A sealed body as it stands in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The key it is under.
    pub key: KeyId,
    /// Nonce and ciphertext, in base 64 without padding.
    #[serde(rename = "box")]
    pub ciphertext: String,
}

/// A sealed body cannot be opened although its key exists: it was tampered with or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed body does not open under its key")]
pub struct Tampered;

fn bound_to(event: EventId, event_type: &str) -> Vec<u8> {
    [&event.to_bytes()[..], event_type.as_bytes()].concat()
}

/// Seals a body under a key, bound to an event.
#[must_use]
pub fn seal(key: &UserKey, event: EventId, event_type: &str, body: &[u8]) -> Sealed {
    let sealed = key.cipher().seal(body, &bound_to(event, event_type));
    Sealed {
        key: key.id,
        ciphertext: STANDARD_NO_PAD.encode(sealed),
    }
}

/// Opens a sealed body with the keys that still exist.
///
/// # Errors
/// [`Tampered`] when the key exists and does not open it; a missing key is [`Private::Erased`].
pub fn open(
    keys: &HashMap<KeyId, Arc<UserKey>>,
    event: EventId,
    event_type: &str,
    sealed: &Sealed,
) -> Result<Private<Vec<u8>>, Tampered> {
    let Some(key) = keys.get(&sealed.key) else {
        return Ok(Private::Erased);
    };
    let bytes = STANDARD_NO_PAD.decode(&sealed.ciphertext).map_err(|_| Tampered)?;
    let opened = key.cipher().open(&bytes, &bound_to(event, event_type));
    opened.map(Private::Readable).ok_or(Tampered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_opens_under_its_key_for_its_event_alone() {
        let key = UserKey::draw();
        let keys = HashMap::from([(key.id, Arc::new(key.clone()))]);
        let (event, other) = (EventId::from_bytes([1; 16]), EventId::from_bytes([2; 16]));
        let sealed = seal(&key, event, "t.v1", b"hello");
        assert_eq!(
            open(&keys, event, "t.v1", &sealed),
            Ok(Private::Readable(b"hello".to_vec()))
        );
        assert_eq!(open(&keys, other, "t.v1", &sealed), Err(Tampered));
        assert_eq!(open(&keys, event, "t.v2", &sealed), Err(Tampered));
        assert_eq!(open(&HashMap::new(), event, "t.v1", &sealed), Ok(Private::Erased));
        let short = Sealed {
            ciphertext: "AAAA".to_owned(),
            ..sealed.clone()
        };
        assert_eq!(open(&keys, event, "t.v1", &short), Err(Tampered));
        assert_ne!(
            seal(&key, event, "t.v1", b"hello"),
            sealed,
            "a nonce is never used twice"
        );
    }
}
