//! What every store of keys does. [`key_store_contract!`](crate::key_store_contract) makes a test of each
//! property.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{TenantId, UserId};
use tokio::task::JoinSet;

use crate::sealing::{KeyId, KeyStore, UserKey};

/// A place that keys live in. It is gone when it is dropped.
#[async_trait]
pub trait KeysHome: Send + Sync + Sized + 'static {
    /// A place where no keys have been.
    async fn fresh() -> Self;

    /// The keys that live here. Opening them again gives the same keys, on another node as it were.
    async fn open(&self) -> Arc<dyn KeyStore>;

    /// Deletes the key of a user.
    async fn erase(&self, tenant: &TenantId, user: &UserId);
}

/// Makes a test of each property for keys that live in a [`KeysHome`](crate::contract::keys::KeysHome).
#[macro_export]
macro_rules! key_store_contract {
    ($home:ty) => {
        $crate::key_store_contract! { @each $home;
            a_key_is_drawn_once_and_outlives_a_restart,
            a_key_belongs_to_a_user_of_one_tenant,
            a_deleted_key_is_gone_and_another_takes_its_place,
            keys_that_many_draw_at_once_are_one_each,
            any_user_has_a_key,
        }
    };
    (@each $home:ty; $($property:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $property() {
            $crate::contract::keys::$property::<$home>().await;
        }
    )*};
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn users<const N: usize>(names: [&str; N]) -> [UserId; N] {
    names.map(|name| UserId::parse(name).unwrap())
}

fn ids(keys: &[UserKey]) -> Vec<KeyId> {
    keys.iter().map(|key| key.id).collect()
}

fn secrets(keys: &[UserKey]) -> Vec<[u8; 32]> {
    keys.iter().map(|key| *key.secret()).collect()
}

/// In the order of the users, however often each is asked for.
pub async fn a_key_is_drawn_once_and_outlives_a_restart<H: KeysHome>() {
    let home = H::fresh().await;
    let asked = users(["bob", "ann", "bob"]);
    let keys = home.open().await;
    let drawn = keys.current(&tenant("t"), &asked).await.unwrap();
    assert_eq!(drawn.len(), 3);
    assert_eq!(drawn[0].id, drawn[2].id);
    assert_ne!(drawn[0].id, drawn[1].id);
    assert_ne!(drawn[0].secret(), drawn[1].secret());
    drop(keys);
    let keys = home.open().await;
    let again = keys.current(&tenant("t"), &asked).await.unwrap();
    assert_eq!((ids(&again), secrets(&again)), (ids(&drawn), secrets(&drawn)));
    let mut found = keys.find(&ids(&drawn[..2])).await.unwrap();
    found.sort_by_key(|key| key.id != drawn[0].id);
    assert_eq!(
        (ids(&found), secrets(&found)),
        (ids(&drawn[..2]), secrets(&drawn[..2]))
    );
    assert!(keys.current(&tenant("t"), &[]).await.unwrap().is_empty());
    assert!(keys.find(&[]).await.unwrap().is_empty());
}

/// The same name elsewhere is someone else.
pub async fn a_key_belongs_to_a_user_of_one_tenant<H: KeysHome>() {
    let keys = H::fresh().await.open().await;
    let ann = users(["ann"]);
    let one = keys.current(&tenant("t"), &ann).await.unwrap();
    let other = keys.current(&tenant("u"), &ann).await.unwrap();
    assert_ne!(one[0].id, other[0].id);
}

/// What it sealed is noise for ever; who comes back begins anew.
pub async fn a_deleted_key_is_gone_and_another_takes_its_place<H: KeysHome>() {
    let home = H::fresh().await;
    let keys = home.open().await;
    let both = users(["ann", "bob"]);
    let drawn = keys.current(&tenant("t"), &both).await.unwrap();
    home.erase(&tenant("t"), &both[0]).await;
    let found = keys.find(&ids(&drawn)).await.unwrap();
    assert_eq!(ids(&found), [drawn[1].id]);
    let again = keys.current(&tenant("t"), &both).await.unwrap();
    assert_ne!(again[0].id, drawn[0].id);
    assert_ne!(again[0].secret(), drawn[0].secret());
    assert_eq!(again[1].id, drawn[1].id);
}

/// Whoever was first: everyone seals under the same one.
pub async fn keys_that_many_draw_at_once_are_one_each<H: KeysHome>() {
    let home = H::fresh().await;
    let names: Vec<_> = (0..40)
        .map(|number| UserId::parse(format!("user{number}")).unwrap())
        .collect();
    let nodes = [home.open().await, home.open().await, home.open().await];
    let mut drawing = JoinSet::new();
    for round in 0..12 {
        let keys = Arc::clone(&nodes[round % nodes.len()]);
        let mut asked = names.clone();
        // Everyone in another order.
        asked.rotate_left(round * 7 % names.len());
        if round % 2 == 0 {
            asked.reverse();
        }
        drawing.spawn(async move {
            let drawn = keys.current(&tenant("t"), &asked).await.unwrap();
            let mut pairs: Vec<_> = asked.into_iter().zip(ids(&drawn)).collect();
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            pairs
        });
    }
    let drawn = drawing.join_all().await;
    assert!(drawn.iter().all(|pairs| *pairs == drawn[0]));
}

/// Names of the outside are only text.
pub async fn any_user_has_a_key<H: KeysHome>() {
    let keys = H::fresh().await.open().await;
    let odd = users([
        "'",
        "\"",
        "\\",
        "%",
        "đ",
        "Đ",
        "a",
        "A",
        "{\"a\":1}",
        "NULL",
        "$1",
        " ",
    ]);
    let drawn = keys.current(&tenant("t"), &odd).await.unwrap();
    let again = keys.current(&tenant("t"), &odd).await.unwrap();
    assert_eq!(ids(&again), ids(&drawn));
    let mut names: Vec<_> = ids(&drawn).iter().map(KeyId::to_string).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), odd.len());
}
