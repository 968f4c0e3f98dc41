//! Shards that are silent: while an append waits in vain, others are not made to wait behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// An append that has waited for so long says that its shard is away: new commands are refused at once, but for
/// one now and then, until an append to it is answered.
const SILENT_MS: u64 = 2_000;
const TRIED_EVERY_MS: u64 = 1_000;

/// Which shards have not answered appends for a while.
#[derive(Clone)]
pub(super) struct Silence {
    start: Instant,
    shards: Arc<[Silent]>,
}

/// In milliseconds after the start.
#[derive(Default)]
struct Silent {
    /// Since when no append was answered although one waits; 0 when none waits in vain.
    since: AtomicU64,
    /// When a command was last let through all the same.
    tried: AtomicU64,
}

impl Silence {
    pub(super) fn new(shards: u16) -> Self {
        Self {
            start: Instant::now(),
            shards: (0..shards).map(|_| Silent::default()).collect(),
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.start).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX).max(1)
    }

    /// An append that was begun then has no answer still.
    pub(super) fn lasts(&self, shard: u16, begun: Instant) {
        if let Some(silent) = self.shards.get(usize::from(shard)) {
            let begun = self.millis(begun);
            let _ = silent
                .since
                .compare_exchange(0, begun, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// An append was answered.
    pub(super) fn ends(&self, shard: u16) {
        if let Some(silent) = self.shards.get(usize::from(shard)) {
            silent.since.store(0, Ordering::Relaxed);
        }
    }

    /// Whether a command is to be refused. Now and then one is not: its append tells when the silence is over.
    pub(super) fn refuses(&self, shard: u16) -> bool {
        let Some(silent) = self.shards.get(usize::from(shard)) else {
            return false;
        };
        let since = silent.since.load(Ordering::Relaxed);
        let now = self.millis(Instant::now());
        if since == 0 || now < since.saturating_add(SILENT_MS) {
            return false;
        }
        let tried = silent.tried.load(Ordering::Relaxed);
        now < tried.saturating_add(TRIED_EVERY_MS)
            || silent
                .tried
                .compare_exchange(tried, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
    }
}
