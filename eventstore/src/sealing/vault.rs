//! The keys that a node uses: a store of them, and those it remembers.
//!
//! A key that was confirmed within the last minute is used without asking: so long may one be used that was
//! deleted. While the store is away, a key that was confirmed within the last hour goes on being used, so that
//! sends and live delivery go on; a key that the store says is gone is never used again, and none at all when
//! the store says that it has lost them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{TenantId, UserId};
use moka::sync::Cache;
use tokio::time::Instant;

use super::{KeyId, KeyStore, KeysUnavailable, UserKey};

/// How long a key is used without asking again.
const FRESH: Duration = Duration::from_secs(60);
/// How long it is used at most while the store is away.
const USABLE: Duration = Duration::from_secs(60 * 60);
/// How long a store that was away is not asked again by those who can do without.
const LET_BE: Duration = Duration::from_secs(5);
/// How long those who can do without wait for it.
const BRIEFLY: Duration = Duration::from_millis(250);
const CACHE_SIZE: u64 = 100_000;

/// A key as it was last confirmed.
#[derive(Clone)]
struct Known {
    key: Arc<UserKey>,
    confirmed: Instant,
}

/// Seals and opens, over a store of keys whose recent ones it remembers.
#[derive(Clone)]
pub struct Vault {
    store: Arc<dyn KeyStore>,
    by_user: Cache<(TenantId, UserId), Known>,
    by_id: Cache<KeyId, Known>,
    /// Until when the store is let be.
    away: Arc<Mutex<Option<Instant>>>,
}

impl Vault {
    /// A vault over this store.
    #[must_use]
    pub fn new(store: Arc<dyn KeyStore>) -> Self {
        Self {
            store,
            by_user: cache(),
            by_id: cache(),
            away: Arc::default(),
        }
    }

    /// The keys to seal under, one for each of the users; missing ones are drawn in one go.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the store is away and not all of them are remembered.
    pub async fn keys_of(
        &self,
        tenant: &TenantId,
        users: &[UserId],
    ) -> Result<Vec<Arc<UserKey>>, KeysUnavailable> {
        let name = |user: &UserId| (tenant.clone(), user.clone());
        let remembered: Vec<_> = users.iter().map(|user| self.by_user.get(&name(user))).collect();
        let asked: Vec<_> = users
            .iter()
            .zip(&remembered)
            .filter(|(_, known)| !is_fresh(known.as_ref()))
            .map(|(user, _)| user.clone())
            .collect();
        // One that was found to be gone by its name is not used by its user either.
        let usable = |known: &Option<Known>| {
            let key = &usable(known.as_ref())?.key;
            self.by_id.contains_key(&key.id).then(|| Arc::clone(key))
        };
        let can_do_without = remembered.iter().all(|known| usable(known).is_some());
        let mut confirmed = if asked.is_empty() || (can_do_without && self.lets_be()) {
            Vec::new().into_iter()
        } else {
            let answer = self.ask(self.store.current(tenant, &asked), can_do_without);
            match answer.await {
                Ok(keys) if keys.len() == asked.len() => keys.into_iter(),
                Ok(_) => return Err(KeysUnavailable("a key is missing".to_owned())),
                Err(_) if can_do_without && !self.store.are_lost() => Vec::new().into_iter(),
                Err(error) => return Err(error),
            }
        };
        let mut keys = Vec::with_capacity(users.len());
        for (user, known) in users.iter().zip(&remembered) {
            let answered = if is_fresh(known.as_ref()) {
                None
            } else {
                confirmed.next()
            };
            let key = match answered {
                Some(key) => {
                    if let Some(known) = known
                        && known.key.id != key.id
                    {
                        self.by_id.invalidate(&known.key.id);
                    }
                    let known = confirmed_now(key);
                    self.by_user.insert(name(user), known.clone());
                    self.by_id.insert(known.key.id, known.clone());
                    Some(known.key)
                }
                None => usable(known),
            };
            keys.push(key.ok_or_else(|| KeysUnavailable("a key is missing".to_owned()))?);
        }
        Ok(keys)
    }

    /// The keys with these names, without those that were deleted.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the store is away and not all of them are remembered.
    pub async fn keys_named(
        &self,
        ids: impl IntoIterator<Item = KeyId>,
    ) -> Result<HashMap<KeyId, Arc<UserKey>>, KeysUnavailable> {
        let mut keys = HashMap::new();
        let mut asked = Vec::new();
        let mut can_do_without = true;
        for id in ids {
            let known = self.by_id.get(&id);
            if !is_fresh(known.as_ref()) {
                asked.push(id);
            }
            match usable(known.as_ref()) {
                Some(known) => {
                    keys.insert(id, Arc::clone(&known.key));
                }
                None => can_do_without = false,
            }
        }
        if asked.is_empty() || (can_do_without && self.lets_be()) {
            return Ok(keys);
        }
        asked.sort_unstable_by_key(|id| id.0);
        asked.dedup();
        let found = match self.ask(self.store.find(&asked), can_do_without).await {
            Ok(found) => found,
            Err(_) if can_do_without && !self.store.are_lost() => return Ok(keys),
            Err(error) => return Err(error),
        };
        for id in &asked {
            keys.remove(id);
        }
        for key in found {
            let known = confirmed_now(key);
            self.by_id.insert(known.key.id, known.clone());
            keys.insert(known.key.id, known.key);
        }
        for id in asked.iter().filter(|id| !keys.contains_key(id)) {
            self.by_id.invalidate(id);
        }
        Ok(keys)
    }

    /// Whether the store was away just now.
    fn lets_be(&self) -> bool {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.is_some_and(|until| Instant::now() < until) && !self.store.are_lost()
    }

    /// Waits for an answer of the store, and remembers whether it was away.
    async fn ask<T>(
        &self,
        answer: impl Future<Output = Result<T, KeysUnavailable>>,
        can_do_without: bool,
    ) -> Result<T, KeysUnavailable> {
        let answer = if can_do_without {
            let silent = || KeysUnavailable("there was no answer in time".to_owned());
            tokio::time::timeout(BRIEFLY, answer)
                .await
                .unwrap_or_else(|_| Err(silent()))
        } else {
            answer.await
        };
        let until = answer.is_err().then(|| Instant::now() + LET_BE);
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = &answer
            && away.is_none()
        {
            tracing::warn!(%error, "the keys are away; those that are remembered go on being used");
        }
        *away = until;
        answer
    }
}

fn cache<K: Eq + Hash + Send + Sync + 'static>() -> Cache<K, Known> {
    // Whether a key may still be used goes by when it was confirmed; this only bounds the memory.
    Cache::builder()
        .max_capacity(CACHE_SIZE)
        .time_to_live(USABLE)
        .build()
}

fn confirmed_now(key: UserKey) -> Known {
    Known {
        key: Arc::new(key),
        confirmed: Instant::now(),
    }
}

fn is_fresh(known: Option<&Known>) -> bool {
    known.is_some_and(|known| known.confirmed.elapsed() < FRESH)
}

fn usable(known: Option<&Known>) -> Option<&Known> {
    known.filter(|known| known.confirmed.elapsed() < USABLE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;

    /// Keys that can be away, and be lost.
    #[derive(Default)]
    struct Store {
        keys: Mutex<HashMap<UserId, UserKey>>,
        is_away: AtomicBool,
        asked: AtomicUsize,
    }

    impl Store {
        fn answer(&self) -> Result<(), KeysUnavailable> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.is_away.load(Ordering::Relaxed) {
                return Err(KeysUnavailable("told to be".to_owned()));
            }
            Ok(())
        }

        fn be_away(&self, is_away: bool) {
            self.is_away.store(is_away, Ordering::Relaxed);
        }

        fn times_asked(&self) -> usize {
            self.asked.swap(0, Ordering::Relaxed)
        }
    }

    #[async_trait]
    impl KeyStore for Store {
        async fn current(&self, _: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable> {
            self.answer()?;
            let mut keys = self.keys.lock().unwrap();
            let key = |user: &UserId| keys.entry(user.clone()).or_insert_with(UserKey::draw).clone();
            Ok(users.iter().map(key).collect())
        }

        async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable> {
            self.answer()?;
            let keys = self.keys.lock().unwrap();
            Ok(keys
                .values()
                .filter(|key| ids.contains(&key.id))
                .cloned()
                .collect())
        }
    }

    fn tenant() -> TenantId {
        TenantId::parse("t").unwrap()
    }

    fn users(names: &[&str]) -> Vec<UserId> {
        names.iter().map(|name| UserId::parse(*name).unwrap()).collect()
    }

    async fn later(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn remembered_keys_are_used_while_the_store_is_away_for_an_hour() {
        let store = Arc::new(Store::default());
        let vault = Vault::new(store.clone());
        let both = users(&["ann", "bob"]);
        let drawn = vault.keys_of(&tenant(), &both).await.unwrap();
        let ids = [drawn[0].id, drawn[1].id];
        assert_eq!(store.times_asked(), 1);
        later(59).await;
        vault.keys_of(&tenant(), &both).await.unwrap();
        vault.keys_named(ids).await.unwrap();
        assert_eq!(store.times_asked(), 0, "they are fresh");

        store.be_away(true);
        later(2).await;
        for _ in 0..10 {
            assert_eq!(vault.keys_of(&tenant(), &both).await.unwrap()[1].id, ids[1]);
            assert_eq!(vault.keys_named(ids).await.unwrap().len(), 2);
        }
        assert_eq!(store.times_asked(), 1, "one that is away is let be");
        let stranger = users(&["ann", "cid"]);
        assert!(vault.keys_of(&tenant(), &stranger).await.is_err());
        assert!(vault.keys_named([UserKey::draw().id]).await.is_err());
        later(59 * 60 - 2).await;
        assert_eq!(vault.keys_named(ids).await.unwrap().len(), 2);
        later(2).await;
        assert!(vault.keys_of(&tenant(), &both).await.is_err(), "an hour is over");
        assert!(vault.keys_named(ids).await.is_err());

        store.be_away(false);
        assert_eq!(vault.keys_of(&tenant(), &stranger).await.unwrap()[0].id, ids[0]);
        assert_eq!(vault.keys_named(ids).await.unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_gone_when_the_store_was_asked_is_never_used_again() {
        let store = Arc::new(Store::default());
        let vault = Vault::new(store.clone());
        let ann = users(&["ann"]);
        let old = vault.keys_of(&tenant(), &ann).await.unwrap()[0].id;
        store.keys.lock().unwrap().clear();
        later(61).await;
        assert!(vault.keys_named([old]).await.unwrap().is_empty());
        store.be_away(true);
        assert!(vault.keys_named([old]).await.is_err());
        store.be_away(false);
        later(6).await;
        let new = vault.keys_of(&tenant(), &ann).await.unwrap()[0].id;
        assert_ne!(new, old);
        store.be_away(true);
        assert_eq!(vault.keys_of(&tenant(), &ann).await.unwrap()[0].id, new);
        assert!(vault.keys_named([old]).await.is_err());
    }
}
