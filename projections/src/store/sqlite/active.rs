//! Which conversations users are in, kept in memory for as long as nothing changes it.
//!
//! All changes come through the one writer of the file, so what it did not touch is as it was read. A user whose
//! memberships a batch is about to change is forgotten before, and nothing of them is kept until the writer says
//! that it is done: one that was given up in the middle may be carried out all the same.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{ConversationId, TenantId, UserId};
use moka::sync::Cache;

/// 16 bytes each.
const CONVERSATIONS_KEPT: u64 = 1_000_000;

type User = (TenantId, UserId);

/// The active conversations of users who asked lately.
#[derive(Debug)]
pub(super) struct Active {
    kept: Cache<User, Arc<[ConversationId]>>,
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    /// How many changes are done.
    done: u64,
    /// Users whose memberships may be changing.
    of: HashSet<User>,
}

/// What was done before someone began to read.
pub(super) struct Before(u64);

impl Active {
    pub(super) fn new() -> Self {
        let weight = |_: &User, of: &Arc<[ConversationId]>| u32::try_from(of.len() + 16).unwrap_or(u32::MAX);
        let kept = Cache::builder().weigher(weight).max_capacity(CONVERSATIONS_KEPT);
        Self {
            kept: kept.build(),
            changes: Mutex::default(),
        }
    }

    /// What is known of the user; otherwise it is to be read now, and [kept](Self::keep).
    pub(super) fn of(&self, user: &User) -> Result<Arc<[ConversationId]>, Before> {
        self.kept.get(user).ok_or_else(|| Before(self.changes().done))
    }

    /// Keeps what was read, unless something changed since.
    pub(super) fn keep(&self, user: User, before: &Before, conversations: &Arc<[ConversationId]>) {
        let changes = self.changes();
        if changes.done == before.0 && !changes.of.contains(&user) {
            self.kept.insert(user, Arc::clone(conversations));
        }
    }

    /// The memberships of these users are about to change.
    pub(super) fn changing(&self, users: impl Iterator<Item = User>) {
        let mut changes = self.changes();
        for user in users {
            self.kept.invalidate(&user);
            changes.of.insert(user);
        }
    }

    /// Whatever was changing is changed, and so is what was given up before.
    pub(super) fn changed(&self) {
        let mut changes = self.changes();
        if !changes.of.is_empty() {
            changes.of.clear();
            changes.done += 1;
        }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::user;

    use super::*;

    fn key(name: &str) -> User {
        (TenantId::parse("acme").unwrap(), user(name))
    }

    fn read(active: &Active, name: &str, while_reading: impl FnOnce()) {
        let Err(before) = active.of(&key(name)) else {
            panic!("{name} is known")
        };
        while_reading();
        active.keep(key(name), &before, &Arc::default());
    }

    fn knows(active: &Active, name: &str) -> bool {
        active.of(&key(name)).is_ok()
    }

    #[test]
    fn only_whose_memberships_change_is_forgotten() {
        let active = Active::new();
        read(&active, "ann", || {});
        read(&active, "bob", || {});
        active.changing([key("bob")].into_iter());
        assert_eq!((knows(&active, "ann"), knows(&active, "bob")), (true, false));
        active.changed();
        assert_eq!((knows(&active, "ann"), knows(&active, "bob")), (true, false));
        read(&active, "bob", || {});
        assert!(knows(&active, "bob"));
    }

    #[test]
    fn what_was_read_while_it_changed_is_not_kept() {
        let active = Active::new();
        read(&active, "ann", || active.changing([key("ann")].into_iter()));
        read(&active, "ann", || {});
        read(&active, "ann", || active.changed());
        assert!(!knows(&active, "ann"));
        read(&active, "ann", || {
            active.changing([key("ann")].into_iter());
            active.changed();
        });
        assert!(!knows(&active, "ann"));
        read(&active, "ann", || {});
        assert!(knows(&active, "ann"));
    }

    #[test]
    fn what_was_given_up_changes_until_the_next_one_is_done() {
        let active = Active::new();
        active.changing([key("ann")].into_iter());
        read(&active, "ann", || {});
        assert!(!knows(&active, "ann"));
        active.changing([key("bob")].into_iter());
        active.changed();
        read(&active, "ann", || {});
        assert!(knows(&active, "ann"));
    }
}
