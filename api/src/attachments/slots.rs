//! How many uploads may be on their way at once: each takes room in the data folder, and may take its time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{TenantId, UserId};

use crate::auth::Identity;
use crate::error::ApiError;

/// The most of a user: as many as a message has.
const MOST_OF_A_USER: usize = 10;
/// The most of all users.
const MOST: usize = 200;

type Key = (TenantId, UserId);

/// The uploads that are on their way, by user.
#[derive(Debug, Default)]
pub struct Slots(Mutex<HashMap<Key, usize>>);

/// An upload that is on its way, until this value is dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    key: Key,
}

impl Slots {
    /// Takes a slot for an upload of this user.
    ///
    /// # Errors
    /// 429 when the user has too many, 503 when all together have.
    pub fn take(self: &Arc<Self>, identity: &Identity) -> Result<Slot, ApiError> {
        let key = (identity.tenant.clone(), identity.user.clone());
        let mut taken = self.taken();
        if taken.get(&key).is_some_and(|count| *count >= MOST_OF_A_USER) {
            return Err(ApiError::rate_limited(NonZeroU32::MIN));
        }
        if taken.values().sum::<usize>() >= MOST {
            return Err(ApiError::unavailable(
                "overloaded",
                "too many files are on their way here; try again",
            ));
        }
        *taken.entry(key.clone()).or_default() += 1;
        let slots = Arc::clone(self);
        Ok(Slot { slots, key })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        // Each change is one number: a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(user: usize) -> Identity {
        Identity {
            tenant: TenantId::parse("acme").unwrap(),
            user: UserId::parse(user.to_string()).unwrap(),
            profile: None,
            is_service: false,
            expires_at: 0,
        }
    }

    #[test]
    fn a_user_and_all_together_have_so_many() {
        let slots = Arc::new(Slots::default());
        let take = |user| slots.take(&identity(user));
        let mut taken: Vec<_> = (0..10).map(|_| take(0).unwrap()).collect();
        assert_eq!(take(0).unwrap_err().code(), "rate_limited");
        taken.pop();
        taken.push(take(0).unwrap());
        taken.extend((10..200).map(|n| take(n / 10).unwrap()));
        assert_eq!(take(77).unwrap_err().code(), "overloaded");
        drop(taken);
        assert!(slots.taken().is_empty());
    }
}
