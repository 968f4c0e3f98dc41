//! What both stores do: the suite, and the two places that it runs in.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{CommitId, ConversationId, EventId, MessageId, Ordinal, PushId, TenantId, Timestamp, UserId};
use eventstore::contract::postgres::{PostgresServer, fresh_namespace};
use eventstore::{Checkpoint, Epoch};
use tempfile::TempDir;

use super::{
    Delivery, EffectStore, Figures, Notice, Planned, PostgresEffects, SqliteEffects, TakeInError, Target,
    Way, Which,
};

/// A place that a store lives in. It is gone when it is dropped.
#[async_trait]
trait Home: Sized {
    /// A place where no store has been.
    async fn fresh() -> Self;

    /// The store that lives here, on another node as it were.
    async fn open(&self) -> Arc<dyn EffectStore>;
}

struct SqliteHome(TempDir);

#[async_trait]
impl Home for SqliteHome {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Arc<dyn EffectStore> {
        Arc::new(
            SqliteEffects::open(&self.0.path().join("effects.db"))
                .await
                .unwrap(),
        )
    }
}

struct PostgresHome(String, String);

#[async_trait]
impl Home for PostgresHome {
    async fn fresh() -> Self {
        Self(PostgresServer::shared().await.url(), fresh_namespace())
    }

    async fn open(&self) -> Arc<dyn EffectStore> {
        Arc::new(PostgresEffects::open(&self.0, &self.1, 4).await.unwrap())
    }
}

macro_rules! contract {
    ($($property:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                super::$property::<super::SqliteHome>().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                super::$property::<super::PostgresHome>().await;
            })*
        }
    };
}

contract! {
    a_shard_begins_once_and_moves_from_where_it_is,
    a_page_is_kept_with_the_notice_that_moves_on,
    what_is_due_is_claimed_by_one_and_again_when_the_claim_is_over,
    what_is_not_taken_dies_and_can_be_replayed,
    a_shard_of_another_log_begins_anew,
}

fn tenant() -> TenantId {
    TenantId::parse("t'1").unwrap()
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn checkpoint(epoch: Epoch, shard: u16, sequence: u64) -> Checkpoint {
    Checkpoint {
        sequence,
        commit_id: (sequence > 0).then(|| CommitId::from_bytes([u8::try_from(sequence).unwrap(); 16])),
        ..Checkpoint::start(epoch, shard)
    }
}

fn notice(shard: u16, number: u8) -> Notice {
    Notice {
        event: EventId::from_bytes([number; 16]),
        shard,
        tenant: tenant(),
        message: MessageId {
            conversation: ConversationId::from_bytes([9; 16]),
            ordinal: Ordinal::new(number.into()).unwrap(),
        },
        sender: user("ann \"đ\""),
        sequence: number.into(),
        recorded_at: at(1_000 * i64::from(number)),
        standing: 0,
    }
}

fn delivery(notice: &Notice, id: &str, target: Target) -> Delivery {
    Delivery {
        id: id.to_owned(),
        shard: notice.shard,
        tenant: notice.tenant.clone(),
        message: notice.message,
        recorded_at: notice.recorded_at,
        target,
        attempts: 0,
        is_replayed: false,
    }
}

fn webhook(notice: &Notice, id: &str) -> Delivery {
    delivery(notice, id, Target::Webhook(vec![user("bob"), user("{\"c\":1}")]))
}

fn planned(notice: &Notice, next: Option<u64>, deliveries: Vec<Delivery>) -> Planned {
    Planned {
        notice: notice.clone(),
        next,
        deliveries,
    }
}

/// Takes in a notice and plans these for it.
async fn hold(store: &dyn EffectStore, number: u8, deliveries: Vec<Delivery>) {
    let epoch = Epoch::draw();
    let shard = u16::from(number);
    let (from, to) = (
        checkpoint(epoch, shard, 0),
        checkpoint(epoch, shard, number.into()),
    );
    store.begin(&from).await.unwrap();
    let notice = notice(shard, number);
    store
        .take_in(&from, &to, std::slice::from_ref(&notice))
        .await
        .unwrap();
    store.plan(&[planned(&notice, None, deliveries)]).await.unwrap();
}

/// The claimed deliveries of a way, by id.
async fn claim(store: &dyn EffectStore, way: Way, node: &str, now: i64, limit: u32) -> Vec<Delivery> {
    let claimed = store.claim(way, node, at(now), at(now + 60_000), limit).await;
    let mut claimed = claimed.unwrap();
    claimed.sort_by(|one, other| one.id.cmp(&other.id));
    claimed
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.id.as_str()).collect()
}

async fn a_shard_begins_once_and_moves_from_where_it_is<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let epoch = Epoch::draw();
    assert_eq!(store.checkpoint(1).await.unwrap(), None);
    let [three, five, seven] = [3, 5, 7].map(|sequence| checkpoint(epoch, 1, sequence));
    store.begin(&three).await.unwrap();
    store.begin(&seven).await.unwrap();
    assert_eq!(store.checkpoint(1).await.unwrap(), Some(three));
    assert_eq!(store.checkpoint(2).await.unwrap(), None);
    let notices = [notice(1, 5), notice(1, 4)];
    store.take_in(&three, &five, &notices).await.unwrap();
    let late = store.take_in(&three, &seven, &[notice(1, 7)]).await;
    assert!(matches!(late, Err(TakeInError::Superseded(1))));
    let foreign = Checkpoint {
        epoch: Epoch::draw(),
        ..five
    };
    let foreign = store.take_in(&foreign, &seven, &[]).await;
    assert!(matches!(foreign, Err(TakeInError::Superseded(1))));
    store.close().await;
    let store = home.open().await;
    assert_eq!(store.checkpoint(1).await.unwrap(), Some(five));
    assert_eq!(store.notices(1, 10).await.unwrap(), [notice(1, 4), notice(1, 5)]);
    assert_eq!(store.notices(1, 1).await.unwrap(), [notice(1, 4)]);
    assert!(store.notices(2, 10).await.unwrap().is_empty());
}

async fn a_page_is_kept_with_the_notice_that_moves_on<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let epoch = Epoch::draw();
    let (from, to) = (checkpoint(epoch, 0, 0), checkpoint(epoch, 0, 1));
    store.begin(&from).await.unwrap();
    let first = notice(0, 1);
    store
        .take_in(&from, &to, std::slice::from_ref(&first))
        .await
        .unwrap();
    let device = Target::Push(user("bob"), PushId::from_bytes([4; 16]));
    let page = vec![webhook(&first, "w0"), delivery(&first, "p0", device)];
    store.plan(&[planned(&first, Some(500), page)]).await.unwrap();
    // Someone else was quicker: nothing of theirs is taken back, and nothing of this is kept.
    store
        .plan(&[planned(&first, None, vec![webhook(&first, "late")])])
        .await
        .unwrap();
    let second = Notice {
        standing: 500,
        ..first.clone()
    };
    assert_eq!(store.notices(0, 10).await.unwrap(), std::slice::from_ref(&second));
    let many = (0..1_200).map(|number| webhook(&second, &format!("w{number:04}")));
    store
        .plan(&[planned(&second, None, many.collect())])
        .await
        .unwrap();
    assert!(store.notices(0, 10).await.unwrap().is_empty());
    let figures = store.figures().await.unwrap();
    let expected = Figures {
        waiting: 1_202,
        oldest: Some(at(1_000)),
        dead: 0,
    };
    assert_eq!(figures, expected);
    let pushed = claim(&*store, Way::Push, "n", 5_000, 10).await;
    let expected = Delivery {
        attempts: 1,
        ..delivery(
            &first,
            "p0",
            Target::Push(user("bob"), PushId::from_bytes([4; 16])),
        )
    };
    assert_eq!(pushed, [expected]);
}

async fn what_is_due_is_claimed_by_one_and_again_when_the_claim_is_over<H: Home>() {
    let home = H::fresh().await;
    let (one, other) = (home.open().await, home.open().await);
    let noticed = notice(2, 2);
    let held = (0..20).map(|number| webhook(&noticed, &format!("w{number:02}")));
    hold(&*one, 2, held.collect()).await;
    assert!(claim(&*one, Way::Webhook, "a", 1_999, 50).await.is_empty());
    assert_eq!(one.next_due(Way::Webhook).await.unwrap(), Some(at(2_000)));
    assert_eq!(one.next_due(Way::Push).await.unwrap(), None);
    let (mine, theirs) = tokio::join!(
        claim(&*one, Way::Webhook, "a", 5_000, 8),
        claim(&*other, Way::Webhook, "b", 5_000, 8)
    );
    let mut all: Vec<_> = mine.iter().chain(&theirs).map(|it| it.id.clone()).collect();
    all.sort();
    all.dedup();
    assert_eq!((mine.len(), theirs.len(), all.len()), (8, 8, 16));
    let rest = claim(&*one, Way::Webhook, "a", 5_000, 50).await;
    assert_eq!(rest.len(), 4);
    one.done(&mine[0]).await.unwrap();
    one.retry(&mine[1], at(9_000), "the answer was 500")
        .await
        .unwrap();
    assert_eq!(one.next_due(Way::Webhook).await.unwrap(), Some(at(9_000)));
    assert_eq!(
        ids(&claim(&*other, Way::Webhook, "b", 9_000, 50).await),
        [mine[1].id.as_str()]
    );
    // The node has ended in between: what it had claimed is due, what another has is not.
    one.release("a", at(10_000)).await.unwrap();
    let again = claim(&*other, Way::Webhook, "b", 10_000, 50).await;
    assert_eq!(again.len(), 6 + 4);
    assert!(again.iter().all(|it| it.attempts == 2));
    // A claim that is over is another's, and what the first says of it then changes nothing.
    let late = claim(&*one, Way::Webhook, "a", 200_000, 1).await.remove(0);
    let stale = Delivery {
        attempts: late.attempts - 1,
        ..late.clone()
    };
    one.bury(&stale, at(200_000), "stale").await.unwrap();
    one.retry(&stale, at(200_000), "stale").await.unwrap();
    assert_eq!(one.figures().await.unwrap().dead, 0);
    assert!(!ids(&claim(&*other, Way::Webhook, "b", 200_000, 50).await).contains(&late.id.as_str()));
}

async fn what_is_not_taken_dies_and_can_be_replayed<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let noticed = notice(3, 3);
    let held = ["a", "b", "c"].map(|id| webhook(&noticed, id));
    hold(&*store, 3, held.to_vec()).await;
    let claimed = claim(&*store, Way::Webhook, "n", 5_000, 10).await;
    for (number, delivery) in claimed.iter().enumerate() {
        let died = at(6_000 + i64::try_from(number).unwrap() / 2);
        store.bury(delivery, died, "the answer was 500").await.unwrap();
    }
    let expected = Figures {
        waiting: 0,
        oldest: None,
        dead: 3,
    };
    assert_eq!(store.figures().await.unwrap(), expected);
    assert!(claim(&*store, Way::Webhook, "n", 1_000_000, 10).await.is_empty());
    store.done(&claimed[0]).await.unwrap();
    let first = store.dead(None, 2).await.unwrap();
    assert_eq!(
        (&*first[0].delivery.id, &*first[1].delivery.id, &*first[0].reason),
        ("a", "b", "the answer was 500")
    );
    assert_eq!((first[0].died_at, first[0].delivery.attempts), (at(6_000), 1));
    let rest = store.dead(first.last(), 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert!(store.dead(rest.last(), 10).await.unwrap().is_empty());

    let some = Which::These(vec!["b".to_owned(), "nothing".to_owned()]);
    assert_eq!(store.replay(&some, at(7_000)).await.unwrap(), 1);
    let again = claim(&*store, Way::Webhook, "n", 7_000, 10).await;
    assert_eq!(
        (ids(&again), again[0].attempts, again[0].is_replayed),
        (vec!["b"], 1, true)
    );
    assert_eq!(store.replay(&Which::All, at(8_000)).await.unwrap(), 2);
    assert_eq!(store.replay(&Which::All, at(8_000)).await.unwrap(), 0);
    let again = claim(&*store, Way::Webhook, "n", 8_000, 10).await;
    assert_eq!(ids(&again), ["a", "c"]);
    store.bury(&again[0], at(9_000), "again").await.unwrap();
    assert_eq!(store.prune(at(9_000)).await.unwrap(), 0);
    assert_eq!(store.prune(at(9_001)).await.unwrap(), 1);
    assert_eq!(store.figures().await.unwrap().dead, 0);
}

async fn a_shard_of_another_log_begins_anew<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    hold(&*store, 4, vec![webhook(&notice(4, 4), "old")]).await;
    hold(&*store, 5, vec![webhook(&notice(5, 5), "other")]).await;
    let before = store.checkpoint(4).await.unwrap().unwrap();
    let to = Checkpoint {
        sequence: 9,
        ..before
    };
    store.take_in(&before, &to, &[notice(4, 6)]).await.unwrap();
    let anew = checkpoint(Epoch::draw(), 4, 2);
    store.begin_anew(&anew).await.unwrap();
    assert_eq!(store.checkpoint(4).await.unwrap(), Some(anew));
    assert!(store.notices(4, 10).await.unwrap().is_empty());
    assert_eq!(
        ids(&claim(&*store, Way::Webhook, "n", 9_000, 10).await),
        ["other"]
    );
    let fresh = checkpoint(Epoch::draw(), 6, 1);
    store.begin_anew(&fresh).await.unwrap();
    assert_eq!(store.checkpoint(6).await.unwrap(), Some(fresh));
}
