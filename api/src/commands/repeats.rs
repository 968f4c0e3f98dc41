//! Keyed requests that the log itself does not remember by their key: reading, and opening the direct
//! conversation with someone, which are each the same however often they are done.
//!
//! What is kept here is this node's alone and ends with it. A repeat on another node moves the mark again,
//! or finds the conversation that is there.

use std::time::Duration;

use domain::{ClientId, Fingerprint, TenantId, UserId};
use eventstore::Position;
use moka::sync::Cache;

use crate::auth::Identity;
use crate::error::ApiError;

const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
const REMEMBERED_KEYS: u64 = 100_000;

type Key = (TenantId, UserId, &'static str, ClientId);

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Original {
    /// Where it was recorded.
    pub(super) position: Position,
    /// What was left unread, for a read.
    pub(super) unread: u64,
}

/// The keyed requests that this node answered lately.
pub struct Repeats(Cache<Key, (Fingerprint, Original)>);

impl Default for Repeats {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(REMEMBERED_KEYS)
                .time_to_live(REMEMBERED)
                .build(),
        )
    }
}

/// A request with a key, and what makes it the same as another one.
pub(super) struct Keyed {
    key: Key,
    fingerprint: Fingerprint,
}

impl Keyed {
    pub(super) fn new(
        identity: &Identity,
        operation: &'static str,
        key: ClientId,
        payload: &[&[u8]],
    ) -> Self {
        Self {
            key: (identity.tenant.clone(), identity.user.clone(), operation, key),
            fingerprint: Fingerprint::of(payload),
        }
    }
}

impl Repeats {
    /// What was answered to this request before.
    ///
    /// # Errors
    /// 422 when its key was used with another payload.
    pub(super) fn original(&self, request: &Keyed) -> Result<Option<Original>, ApiError> {
        match self.0.get(&request.key) {
            Some((fingerprint, _)) if fingerprint != request.fingerprint => Err(ApiError::key_reused()),
            known => Ok(known.map(|(_, original)| original)),
        }
    }

    /// Remembers what was answered. The first answer stays.
    pub(super) fn remember(&self, request: Keyed, original: Original) {
        let answered = (request.fingerprint, original);
        self.0.entry(request.key).or_insert(answered);
    }
}
