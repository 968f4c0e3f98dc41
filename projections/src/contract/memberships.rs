//! Who is in which conversation, and since which commit.

use domain::TenantId;
use domain::conversation::Event as Happened;
use domain::permission::Role;
use domain::testing::user;
use eventstore::log::Epoch;

use super::{History, Home, tenant};
use crate::store::ReadModel;
use crate::view::{Membership, MembershipChange};

/// Both out of one snapshot.
pub async fn memberships_come_with_checkpoints<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let [two, one] = [2, 1].map(|number| history.group(number, &["ann"]));
    history.settle(&*store).await;
    let memberships = store.memberships(&tenant(), &user("ann")).await.unwrap();
    assert_eq!(memberships.active().collect::<Vec<_>>(), [one, two]);
    assert_eq!(memberships.checkpoints, [history.checkpoint]);
    let stranger = store.memberships(&tenant(), &user("bob")).await.unwrap();
    assert_eq!(
        (stranger.conversations.len(), stranger.checkpoints),
        (0, vec![history.checkpoint])
    );
}

/// Whatever was asked before: who was removed is out as soon as that was taken in, and who joined is in.
pub async fn active_conversations_are_always_the_newest<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let other_node = home.beside(&store).await;
    let mut history = History::default();
    let [two, one] = [2, 1].map(|number| history.group(number, &["ann", "bob"]));
    let elsewhere = TenantId::parse("other").unwrap();
    history.tenant = elsewhere.clone();
    let theirs = history.group(3, &["bob"]);
    history.tenant = tenant();
    history.settle(&*store).await;
    let of = async |tenant: &TenantId, name| {
        let conversations = store.active_conversations(tenant, &user(name)).await.unwrap();
        let beside = other_node
            .active_conversations(tenant, &user(name))
            .await
            .unwrap();
        assert_eq!(conversations, beside);
        conversations.to_vec()
    };
    for _ in 0..2 {
        assert_eq!(of(&tenant(), "bob").await, [one, two]);
        assert_eq!(of(&elsewhere, "bob").await, [theirs]);
        assert_eq!(of(&tenant(), "eve").await, []);
    }
    history.leave(one, "bob", None);
    history.join(two, &["eve"]);
    history.settle(&*store).await;
    assert_eq!(of(&tenant(), "bob").await, [two]);
    assert_eq!(of(&tenant(), "ann").await, [one, two]);
    assert_eq!(of(&tenant(), "eve").await, [two]);
    history.send(two, "bob");
    history.join(one, &["bob"]);
    history.leave(two, "bob", None);
    history.settle(&*store).await;
    assert_eq!(of(&tenant(), "bob").await, [one]);
}

/// Who left is still told so, with the commit that did it; messages and marks change nothing.
pub async fn memberships_say_what_changed_them<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let epoch = Epoch::draw();
    let (mut first, mut third) = (History::of(epoch, 0), History::of(epoch, 2));
    let left = first.group(1, &["ann", "bob"]);
    let back = first.group(2, &["ann", "bob"]);
    let elsewhere = third.group(3, &["ann", "bob"]);
    for history in [&mut first, &mut third] {
        history.settle(&*store).await;
    }
    let of = async || {
        store
            .memberships(&tenant(), &user("bob"))
            .await
            .unwrap()
            .conversations
    };
    let member = |conversation, shard, changed, is_active| Membership {
        conversation,
        shard,
        changed,
        is_active,
    };
    let joined = [
        member(left, 0, 1, true),
        member(back, 0, 2, true),
        member(elsewhere, 2, 1, true),
    ];
    assert_eq!(of().await, joined);
    first.leave(left, "bob", None);
    first.leave(back, "bob", None);
    first.settle(&*store).await;
    first.join(back, &["bob"]);
    first.send(back, "bob");
    first.read(back, "bob", 1);
    // Who is a member already is added once more: nothing changes for them.
    let again = vec![(user("ann"), Role::Member)];
    first.happened(left, [Happened::MembersAdded { members: again }]);
    first.settle(&*store).await;
    let changed = [
        member(left, 0, 3, false),
        member(back, 0, 5, true),
        member(elsewhere, 2, 1, true),
    ];
    assert_eq!(of().await, changed);
    let ann = store.memberships(&tenant(), &user("ann")).await.unwrap();
    assert_eq!(ann.conversations[0], member(left, 0, 1, true));
}

/// A shard's changes in the order of the log, of all tenants, with the checkpoint they are as of.
pub async fn changed_memberships_are_listed_by_shard<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let none = store.membership_changes(0, 0, 10).await.unwrap();
    assert_eq!((none.changes.len(), none.checkpoint), (0, None));
    let epoch = Epoch::draw();
    let (mut first, mut second) = (History::of(epoch, 0), History::of(epoch, 1));
    let one = first.group(1, &["ann", "bob"]);
    first.send(one, "ann");
    let other = TenantId::parse("other").unwrap();
    first.tenant = other.clone();
    let theirs = first.group(2, &["ann"]);
    first.tenant = tenant();
    first.leave(one, "ann", Some("bob"));
    second.group(3, &["ann"]);
    first.settle(&*store).await;
    second.settle(&*store).await;
    let change = |of: &TenantId, name, conversation, sequence, is_active| MembershipChange {
        tenant: of.clone(),
        user: user(name),
        conversation,
        sequence,
        is_active,
    };
    let all = store.membership_changes(0, 0, 10).await.unwrap();
    let expected = [
        change(&tenant(), "bob", one, 1, true),
        change(&other, "ann", theirs, 3, true),
        change(&tenant(), "ann", one, 4, false),
    ];
    assert_eq!(
        (&*all.changes, all.checkpoint),
        (&expected[..], Some(first.checkpoint))
    );
    let newest = store.membership_changes(0, 3, 10).await.unwrap();
    assert_eq!(
        (&*newest.changes, newest.checkpoint),
        (&expected[2..], Some(first.checkpoint))
    );
    for after in [4, u64::MAX] {
        let none = store.membership_changes(0, after, 10).await.unwrap();
        assert_eq!((none.changes.len(), none.checkpoint), (0, Some(first.checkpoint)));
    }
    let changes = store.membership_changes(1, 0, 10).await.unwrap();
    assert_eq!(
        (changes.changes.len(), changes.checkpoint),
        (1, Some(second.checkpoint))
    );
}

/// What one commit changed is in one page, so that a page can be continued after its last sequence.
pub async fn a_page_of_changes_ends_between_commits<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    history.group(1, &["ann"]);
    let many: Vec<_> = (0..5).map(|number| format!("user{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    history.group(2, &many);
    history.group(3, &["bob"]);
    history.settle(&*store).await;
    for (limit, expected) in [
        (1, vec![1, 5, 1]),
        (2, vec![6, 1]),
        (6, vec![6, 1]),
        (7, vec![7]),
        (9, vec![7]),
    ] {
        let (mut after, mut pages, mut seen) = (0, Vec::new(), 0);
        loop {
            let page = store.membership_changes(0, after, limit).await.unwrap();
            let Some(last) = page.changes.last() else { break };
            after = last.sequence;
            seen += page.changes.len();
            pages.push(page.changes.len());
            if page.changes.len() < limit as usize {
                break;
            }
        }
        assert_eq!((seen, pages), (7, expected), "pages of {limit}");
    }
}
