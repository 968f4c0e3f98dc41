//! The port of roll calls: which of some users have a socket open, on whatever node.
//!
//! Nothing rests on the answer: a node that does not answer in time has nobody there. Who is taken for away
//! although online is told of something twice.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::{TenantId, UserId};
use tokio_util::sync::CancellationToken;

/// A user of a tenant.
pub type Person = (TenantId, UserId);

/// The most people that are asked for at once; more are asked for in several calls at the same time.
pub const AT_ONCE: usize = 1_000;

/// Knows who has a socket open on this node.
#[async_trait]
pub trait Attendance: Send + Sync + 'static {
    /// The places in the list of those who have.
    async fn present(&self, asked: &[Person]) -> Vec<usize>;
}

/// Asks all nodes, this one included.
#[async_trait]
pub trait RollCall: Send + Sync + 'static {
    /// Answers every call with who is here, until it is cancelled.
    async fn attend(&self, here: Arc<dyn Attendance>, cancel: CancellationToken);

    /// Those of the people who have a socket open, as far as that is said in a moment.
    async fn call(&self, asked: &[Person]) -> HashSet<Person>;
}

/// Those at these places; what is no place is passed over.
pub(crate) fn at(places: &[usize], asked: &[Person]) -> Vec<Person> {
    places
        .iter()
        .filter_map(|place| asked.get(*place).cloned())
        .collect()
}

/// Roll calls within one process.
#[derive(Default)]
pub struct InProcessRollCall {
    attending: Mutex<Vec<Arc<dyn Attendance>>>,
}

#[async_trait]
impl RollCall for InProcessRollCall {
    async fn attend(&self, here: Arc<dyn Attendance>, cancel: CancellationToken) {
        let attending = || self.attending.lock().unwrap_or_else(PoisonError::into_inner);
        attending().push(Arc::clone(&here));
        cancel.cancelled().await;
        attending().retain(|other| !Arc::ptr_eq(other, &here));
    }

    async fn call(&self, asked: &[Person]) -> HashSet<Person> {
        let attending = {
            let attending = self.attending.lock().unwrap_or_else(PoisonError::into_inner);
            attending.clone()
        };
        let mut present = HashSet::new();
        for here in attending {
            present.extend(at(&here.present(asked).await, asked));
        }
        present
    }
}
