//! That the log is still the one that was read and appended to.
//!
//! Servers that are restored from an older copy come back with their names and their epoch, and what was
//! acknowledged since the copy is missing; servers that lost their store come back with nothing, and another
//! node may have made the log anew. A head that a node remembers may then be, by chance, the head of something
//! else, and two messages would get one id. Only a new connection can lead to such servers; so by each new one
//! a shard's epoch and the newest record that is known of it are looked at once more before anything rests on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use super::{Inner, Shard, shape};
use crate::log::ReadError;

/// What is known of a shard.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// The newest record that was acknowledged or read here: its sequence and its payload.
    newest: Mutex<Option<(u64, Bytes)>>,
    /// The connection by which that was found in the log, or by which it came.
    trusted: AtomicU64,
}

/// Where the log was found to be another one, and in what. From then on nothing is done with any of its shards.
pub(super) type Break = OnceLock<(u64, String)>;

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
    /// Makes sure that the shard is what is known of it: asks its leader when the connection is a new one.
    /// Gives the connection by which that is so.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] while the newest record is not there: the leader may not have it yet.
    /// [`ReadError::Damaged`] when it is another log, for good from then on and for all shards.
    pub(super) async fn continuous(&self, shard: &Shard) -> Result<u64, ReadError> {
        let connection = self.connection().await?;
        if let Some((sequence, detail)) = self.broken.get() {
            return Err(ReadError::Damaged {
                sequence: *sequence,
                detail: detail.clone(),
            });
        }
        let known = &shard.continuity;
        if known.trusted.load(Ordering::Acquire) == connection {
            return Ok(connection);
        }
        let newest = known.newest();
        if shape::epoch(&self.info(shard).await?.config) != Some(self.epoch) {
            let sequence = newest.map_or(0, |(sequence, _)| sequence);
            return Err(self.breaks(shard, sequence, "the log was made anew, or was given a new epoch"));
        }
        if let Some((sequence, payload)) = newest {
            let found = self
                .at_leader(shard.handle.raw_message_builder().sequence(sequence))
                .await?;
            match found {
                Some(found) if found.payload == payload => {}
                Some(_) => {
                    let detail =
                        "the log has gone back and another way since: it was restored from an older copy";
                    return Err(self.breaks(shard, sequence, detail));
                }
                None => {
                    let reason = format!(
                        "record {sequence} of shard {}, which was there, is missing",
                        shard.number
                    );
                    return Err(ReadError::Unavailable(reason));
                }
            }
        }
        known.trusted.store(connection, Ordering::Release);
        Ok(connection)
    }

    /// This is another log than the one that was opened: nothing is appended to it any more.
    pub(super) fn breaks(&self, shard: &Shard, sequence: u64, detail: impl Into<String>) -> ReadError {
        let detail = detail.into();
        if self.broken.set((sequence, detail.clone())).is_ok() {
            tracing::error!(
                log.shard = shard.number,
                log.sequence = sequence,
                detail,
                "this is not the log that this node knows: start the node again, which says what to do"
            );
        }
        ReadError::Damaged { sequence, detail }
    }
}
