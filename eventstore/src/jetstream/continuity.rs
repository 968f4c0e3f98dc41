//! That the log is still the one that was read and appended to.
//!
//! Servers that are restored from an older copy come back with their names and their epoch, and what was
//! acknowledged since the copy is missing. A head that a node remembers may then be, by chance, the head of
//! something else, and two messages would get one id. Only a new connection can lead to such servers; so by
//! each new one the newest record that is known here is looked at once more before anything rests on it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::{Inner, Shard};
use crate::log::ReadError;

/// What is known of a shard.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// The newest record that was acknowledged or read here: its sequence and its payload.
    newest: Mutex<Option<(u64, Bytes)>>,
    /// The connection by which that was found in the log, or by which it came.
    trusted: AtomicU64,
    /// Another record was found in its place.
    is_broken: AtomicBool,
}

impl Continuity {
    /// The shard has this record.
    pub(super) fn saw(&self, sequence: u64, payload: &Bytes) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.as_ref().is_none_or(|(known, _)| sequence > *known) {
            *newest = Some((sequence, payload.clone()));
        }
    }

    fn newest(&self) -> Option<(u64, Bytes)> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Inner {
    /// Makes sure that the shard has what is known of it: asks its leader when the connection is a new one.
    /// Gives the connection by which that is so.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] while the newest record is not there: the leader may not have it yet.
    /// [`ReadError::Damaged`] when another one is in its place, and for good from then on.
    pub(super) async fn continuous(&self, shard: &Shard) -> Result<u64, ReadError> {
        let known = &shard.continuity;
        let connection = self.connection().await?;
        if known.trusted.load(Ordering::Acquire) == connection && !known.is_broken.load(Ordering::Acquire) {
            return Ok(connection);
        }
        if let Some((sequence, payload)) = known.newest() {
            let found = self
                .at_leader(shard.handle.raw_message_builder().sequence(sequence))
                .await?;
            match found {
                Some(found) if found.payload == payload => {}
                Some(_) => {
                    if !known.is_broken.swap(true, Ordering::AcqRel) {
                        tracing::error!(
                            log.shard = shard.number,
                            log.sequence = sequence,
                            "the log has another history than this node knows: it was restored from an older copy. \
                             Stop the nodes, and run `verbatim rebuild --new-epoch`"
                        );
                    }
                }
                None => {
                    let reason = format!(
                        "record {sequence} of shard {}, which was there, is missing",
                        shard.number
                    );
                    return Err(ReadError::Unavailable(reason));
                }
            }
            if known.is_broken.load(Ordering::Acquire) {
                return Err(ReadError::Damaged {
                    sequence,
                    detail: "the log has gone back and another way since: it was restored from an older copy"
                        .to_owned(),
                });
            }
        }
        known.trusted.store(connection, Ordering::Release);
        Ok(connection)
    }
}
