//! The newest records of the log, in memory: who follows the log closely need not read the file for what
//! was appended a moment ago.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::Record;

/// Bytes of payloads that are kept.
const BYTES: usize = 8 * 1024 * 1024;

/// The newest records without a hole between them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// By sequence, each one more than the one before.
    records: VecDeque<Record>,
    bytes: usize,
}

impl Recent {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whole between any two statements, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps records that were committed, the next ones after those that are kept.
    pub(super) fn extend(&self, records: Vec<Record>) {
        let mut kept = self.kept();
        for record in records {
            kept.bytes += record.payload.len();
            kept.records.push_back(record);
        }
        while kept.bytes > BYTES
            && let Some(oldest) = kept.records.pop_front()
        {
            kept.bytes -= oldest.payload.len();
        }
    }

    /// Keeps nothing any more: what comes next may not be the next.
    pub(super) fn clear(&self) {
        *self.kept() = Kept::default();
    }

    /// The records after a sequence, at most so many; `None` when the first of them is not kept.
    pub(super) fn after(&self, sequence: u64, limit: usize) -> Option<Vec<Record>> {
        let kept = self.kept();
        let first = kept.records.front()?.sequence;
        let skipped = usize::try_from(sequence.checked_add(1)?.checked_sub(first)?).ok()?;
        if skipped >= kept.records.len() {
            return None;
        }
        Some(kept.records.iter().skip(skipped).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use domain::{ConversationId, TenantId};

    use super::*;
    use crate::subject::Stream;

    fn record(sequence: u64, bytes: usize) -> Record {
        Record {
            shard: 0,
            sequence,
            stream: Stream::Conversation(TenantId::parse("t").unwrap(), ConversationId::from_bytes([1; 16])),
            payload: vec![0; bytes].into(),
        }
    }

    fn sequences(recent: &Recent, after: u64, limit: usize) -> Option<Vec<u64>> {
        let records = recent.after(after, limit)?;
        Some(records.iter().map(|record| record.sequence).collect())
    }

    #[test]
    fn what_is_kept_has_no_holes() {
        let recent = Recent::default();
        assert_eq!(sequences(&recent, 0, 9), None);
        recent.extend(vec![record(5, 1), record(6, 1), record(7, 1)]);
        assert_eq!(sequences(&recent, 3, 9), None);
        assert_eq!(sequences(&recent, 4, 9), Some(vec![5, 6, 7]));
        assert_eq!(sequences(&recent, 5, 1), Some(vec![6]));
        assert_eq!(sequences(&recent, 7, 9), None);
        assert_eq!(sequences(&recent, u64::MAX, 9), None);
        recent.extend(vec![record(8, BYTES - 1)]);
        assert_eq!(sequences(&recent, 5, 9), None);
        assert_eq!(sequences(&recent, 6, 9), Some(vec![7, 8]));
        recent.clear();
        assert_eq!(sequences(&recent, 7, 9), None);
    }
}
