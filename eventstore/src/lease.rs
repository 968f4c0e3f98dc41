//! The port of leases: which of many nodes does what only one of them should do.
//!
//! A lease is an optimisation. It keeps nodes from doing the same work at the same time, and never makes
//! that work right: a projector is safe by its checkpoint, which it moves only from where it found it.
//! Whoever holds a lease asks [`Lease::held`] before each step, and must be right without it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Leases by name, each held by one at a time.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Waits until the lease is held here, however long that takes; `None` when it was cancelled before.
    /// Cancelling later releases the lease.
    async fn contend(&self, name: &str, cancel: CancellationToken) -> Option<Lease>;
}

/// A lease that was acquired. Dropped, it is left to run out, as it does when the node dies.
#[derive(Debug)]
pub struct Lease {
    term: u64,
    validity: Arc<Validity>,
    /// Sent to release it politely.
    ending: Option<oneshot::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

/// Until when a lease is held.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    /// `None` until it is lost.
    until: Mutex<Option<Instant>>,
    lost: CancellationToken,
}

impl Validity {
    pub(crate) fn until(instant: Instant) -> Arc<Self> {
        let validity = Self::default();
        validity.extend(instant);
        Arc::new(validity)
    }

    pub(crate) fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    pub(crate) fn lose(&self) {
        self.lost.cancel();
    }

    fn holds(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        !self.lost.is_cancelled() && until.is_none_or(|until| Instant::now() < until)
    }
}

impl Lease {
    /// A lease that `keeper` keeps: it ends when `ending` is sent, releasing the lease, and when its
    /// sender is dropped, without.
    pub(crate) fn kept(
        term: u64,
        validity: Arc<Validity>,
        keeper: impl FnOnce(oneshot::Receiver<()>) -> JoinHandle<()>,
    ) -> Self {
        let (ending, ended) = oneshot::channel();
        Self {
            term,
            validity,
            ending: Some(ending),
            keeper: Some(keeper(ended)),
        }
    }

    /// Whether it is still held here. Right even when this process was stopped for a while.
    #[must_use]
    pub fn held(&self) -> bool {
        self.validity.holds()
    }

    /// Cancelled when it is lost, and when it was released.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.validity.lost.clone()
    }

    /// Rises each time the lease is acquired, by whomever.
    #[must_use]
    pub const fn term(&self) -> u64 {
        self.term
    }

    /// Gives it up, so that another may have it at once.
    pub async fn release(mut self) {
        if let Some(ending) = self.ending.take() {
            // A keeper that has ended has lost it already.
            let _ = ending.send(());
        }
        if let Some(keeper) = self.keeper.take()
            && let Err(error) = keeper.await
        {
            tracing::warn!(%error, "the keeper of a lease ended badly");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.validity.lose();
    }
}

/// Leases within one process.
#[derive(Debug, Default)]
pub struct InProcessLeases {
    leases: Mutex<HashMap<String, Arc<Semaphore>>>,
    terms: AtomicU64,
}

#[async_trait]
impl Leases for InProcessLeases {
    async fn contend(&self, name: &str, cancel: CancellationToken) -> Option<Lease> {
        let one = {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            let lease = leases.entry(name.to_owned());
            Arc::clone(lease.or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        let permit = cancel.run_until_cancelled(one.acquire_owned()).await?.ok()?;
        let validity = Arc::new(Validity::default());
        let term = self.terms.fetch_add(1, Ordering::Relaxed) + 1;
        let kept = Arc::clone(&validity);
        Some(Lease::kept(term, validity, |ended| {
            tokio::spawn(async move {
                // However it ends, the next may have it, and this one knows that before.
                let _ = cancel.run_until_cancelled(ended).await;
                kept.lose();
                drop(permit);
            })
        }))
    }
}
