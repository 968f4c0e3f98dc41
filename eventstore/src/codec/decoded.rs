//! Commits that were decoded a moment ago. The projector, the indexer and live delivery read the same
//! records within milliseconds of each other: the first one parses and opens them, the others get copies.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::envelope::Commit;
use crate::log::Record;

/// How many are kept, and for how long: no longer than a key that was deleted may go on being used.
const KEPT: usize = 1_024;
const FRESH: Duration = Duration::from_secs(5);
/// Larger pages are history, which nobody else reads at the same time.
const MOST_AT_ONCE: usize = 256;

/// Clones share what they keep.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoded(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    commits: HashMap<(u16, u64), (Record, Commit)>,
    order: VecDeque<(Instant, (u16, u64))>,
}

impl Decoded {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A commit that lost its place in the order by a panic is overwritten or stays: neither is wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commits of these records, where they are kept.
    pub(super) fn find(&self, records: &[Record]) -> Vec<Option<Commit>> {
        if records.len() > MOST_AT_ONCE {
            return vec![None; records.len()];
        }
        let mut kept = self.kept();
        kept.forget();
        let commit = |record: &Record| {
            let (same, commit) = kept.commits.get(&(record.shard, record.sequence))?;
            (same == record).then(|| commit.clone())
        };
        records.iter().map(commit).collect()
    }

    /// Keeps the commits of these records.
    pub(super) fn keep(&self, records: &[Record], commits: &[Commit]) {
        if records.len() > MOST_AT_ONCE {
            return;
        }
        let mut kept = self.kept();
        for (record, commit) in records.iter().zip(commits) {
            let name = (record.shard, record.sequence);
            let before = kept.commits.insert(name, (record.clone(), commit.clone()));
            if before.is_none() {
                kept.order.push_back((Instant::now(), name));
            }
        }
        kept.forget();
    }
}

impl Kept {
    fn forget(&mut self) {
        while let Some((since, name)) = self.order.front()
            && (self.order.len() > KEPT || since.elapsed() > FRESH)
        {
            self.commits.remove(name);
            self.order.pop_front();
        }
    }
}
