//! Whether users are let in, and what they changed of their profiles.

use domain::testing::user;
use domain::user::{Event as Keeps, Profile as Written, Status};
use domain::values::DisplayName;
use domain::{Private, TenantId};
use eventstore::Epoch;

use super::{History, Home, tenant};
use crate::store::ReadModel;
use crate::view::{Profile, StatusChange};

fn called(name: &str, status: Status) -> Profile {
    Profile {
        name: Some(name.to_owned()),
        avatar: None,
        status,
    }
}

/// Whoever nothing is known of is not there, and a status needs no profile.
pub async fn a_status_is_told_with_the_profile<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    history.profile("ann", "Ann");
    let changed = |name| Keeps::ProfileChanged {
        user: user("ann"),
        profile: Private::Readable(Written {
            name: DisplayName::parse(name).unwrap(),
            avatar: None,
        }),
    };
    history.keeps("ann", changed("Annie"));
    history.keeps("ann", Keeps::StatusChanged(Status::Inactive));
    history.keeps("bob", Keeps::StatusChanged(Status::Blocked));
    history.settle(&*store).await;
    let asked = ["ann", "bob", "cid"].map(user);
    let profiles = store.profiles(&tenant(), &asked).await.unwrap();
    let nameless = Profile {
        status: Status::Blocked,
        ..Profile::default()
    };
    let expected = [
        (user("ann"), called("Annie", Status::Inactive)),
        (user("bob"), nameless),
    ];
    assert_eq!(profiles, expected.into());

    history.keeps("ann", Keeps::StatusChanged(Status::Active));
    history.settle(&*store).await;
    let profiles = store.profiles(&tenant(), &asked).await.unwrap();
    assert_eq!(profiles[&user("ann")], called("Annie", Status::Active));
    let other = TenantId::parse("other").unwrap();
    assert!(store.profiles(&other, &asked).await.unwrap().is_empty());
}

/// Each user once, with the newest status, in the order of the log.
pub async fn changed_statuses_are_listed_by_shard<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    assert!(store.status_changes(0, 0, 10).await.unwrap().is_empty());
    let epoch = Epoch::draw();
    let (mut first, mut second) = (History::of(epoch, 0), History::of(epoch, 1));
    let happens = |history: &mut History, name, status| StatusChange {
        tenant: history.tenant.clone(),
        user: user(name),
        sequence: history.keeps(name, Keeps::StatusChanged(status)),
        status,
    };
    happens(&mut first, "ann", Status::Blocked);
    let bob = happens(&mut first, "bob", Status::Blocked);
    first.settle(&*store).await;
    first.tenant = TenantId::parse("other").unwrap();
    let theirs = happens(&mut first, "bob", Status::Inactive);
    first.tenant = tenant();
    let ann = happens(&mut first, "ann", Status::Active);
    happens(&mut second, "cid", Status::Blocked);
    first.settle(&*store).await;
    second.settle(&*store).await;
    let all = [bob, theirs, ann];
    assert_eq!(store.status_changes(0, 0, 10).await.unwrap(), all);
    assert_eq!(store.status_changes(0, 0, 2).await.unwrap(), all[..2]);
    let after = all[1].sequence;
    assert_eq!(store.status_changes(0, after, 2).await.unwrap(), all[2..]);
    assert!(store.status_changes(0, u64::MAX, 2).await.unwrap().is_empty());
}
