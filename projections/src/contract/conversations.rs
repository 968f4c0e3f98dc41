//! The conversation list, what it shows of each conversation, and who is in it.

use domain::conversation::{Event as Happened, Kind};
use domain::permission::Role;
use domain::testing::user;
use domain::user::Status;
use domain::{ConversationId, TenantId, Timestamp};

use super::{History, Home, NOW, at, list as range, ordinal, tenant};
use crate::store::ReadModel;
use crate::view::{ConversationView, ListCursor, MEMBERS_IN_VIEW, MemberView, Profile};

async fn list(
    store: &dyn ReadModel,
    asking: &str,
    limit: u32,
    cursor: Option<ListCursor>,
) -> (Vec<ConversationView>, bool) {
    let page = store
        .conversations(&tenant(), &user(asking), range(limit, cursor), NOW)
        .await
        .unwrap();
    (page.items, page.has_more)
}

async fn ids(store: &dyn ReadModel, asking: &str) -> Vec<ConversationId> {
    let (items, has_more) = list(store, asking, 100, None).await;
    assert!(!has_more);
    items.into_iter().map(|item| item.id).collect()
}

/// In the list and alone it is the same.
pub async fn a_group_is_shown_with_everything<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    history.profile("bob", "Bob");
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["ann", "bob"]);
    history.join(id, &["cid"]);
    history.settle(&*store).await;
    let member = |id: &str, role, joined, last_read| MemberView {
        user_id: user(id),
        role,
        joined_at: at(joined),
        last_read_at: last_read,
        is_active: true,
        name: None,
        avatar: None,
    };
    let bob = MemberView {
        name: Some("Bob".to_owned()),
        avatar: Some("https://example.org/bob.png".to_owned()),
        ..member("bob", Role::Member, 2, Some(at(3)))
    };
    let expected = ConversationView {
        id,
        kind: Kind::Group,
        name: Some("group 1".to_owned()),
        description: Some("what it is about".to_owned()),
        avatar: Some("https://example.org/group.png".to_owned()),
        owner: Some(user("ann")),
        last_message: Some("bob says 2".to_owned()),
        last_message_at: Some(Timestamp::from_millis(502)),
        created_at: at(2),
        updated_at: at(4),
        activity_at: at(3),
        role: Role::Admin,
        is_archived: false,
        is_muted: false,
        muted_until: None,
        unread_count: 1,
        member_count: 3,
        members: vec![
            member("ann", Role::Admin, 2, Some(at(3))),
            bob,
            member("cid", Role::Member, 4, None),
        ],
        last_ordinal: 2,
    };
    let view = store
        .conversation(&tenant(), &user("ann"), id, NOW)
        .await
        .unwrap();
    assert_eq!(view.as_ref(), Some(&expected));
    assert_eq!(list(&*store, "ann", 10, None).await, (vec![expected], false));
}

/// It is called after the other one.
pub async fn a_direct_conversation_has_no_name<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.direct("ann", "bob");
    history.settle(&*store).await;
    let view = store
        .conversation(&tenant(), &user("bob"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (view.kind, view.member_count, view.unread_count),
        (Kind::Direct, 2, 0)
    );
    assert_eq!(
        (view.name, view.description, view.avatar, view.owner),
        (None, None, None, None)
    );
    assert_eq!(
        (view.last_message, view.last_message_at, view.last_ordinal),
        (None, None, 0)
    );
    assert_eq!(
        (view.created_at, view.updated_at, view.activity_at),
        (at(1), at(1), at(1))
    );
    let members: Vec<_> = view
        .members
        .iter()
        .map(|member| (member.user_id.as_str(), member.role))
        .collect();
    assert_eq!(members, [("ann", Role::Member), ("bob", Role::Member)]);
}

/// A message moves its conversation up for everyone, and nothing else does.
pub async fn the_newest_activity_comes_first<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let [one, two, three] = [1, 2, 3].map(|number| history.group(number, &["ann", "bob"]));
    history.settle(&*store).await;
    assert_eq!(ids(&*store, "bob").await, [three, two, one]);
    history.send(one, "ann");
    history.settle(&*store).await;
    assert_eq!(ids(&*store, "bob").await, [one, three, two]);
    history.join(two, &["cid"]);
    history.read(three, "ann", 1);
    history.settle(&*store).await;
    assert_eq!(ids(&*store, "bob").await, [one, three, two]);
}

/// By the cursor of the last one, even when the list has moved meanwhile.
pub async fn pages_continue_where_the_last_one_ended<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let all: Vec<_> = (1..=7)
        .map(|number| history.group(number, &["ann", "bob"]))
        .collect();
    history.settle(&*store).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    for expected in [3, 3, 1] {
        let (items, has_more) = list(&*store, "ann", 3, cursor).await;
        assert_eq!((items.len(), has_more), (expected, expected == 3));
        cursor = items.last().map(ConversationView::cursor);
        seen.extend(items.into_iter().map(|item| item.id));
    }
    assert_eq!(seen, all.iter().rev().copied().collect::<Vec<_>>());
    let (items, _) = list(&*store, "ann", 3, None).await;
    history.send(all[0], "ann");
    history.settle(&*store).await;
    let (rest, has_more) = list(&*store, "ann", 10, Some(items[2].cursor())).await;
    assert_eq!(
        rest.iter().map(|item| item.id).collect::<Vec<_>>(),
        [all[3], all[2], all[1]]
    );
    assert!(!has_more);
    assert_eq!(
        list(&*store, "ann", 10, Some(rest[2].cursor())).await,
        (vec![], false)
    );
}

/// The id decides among those, so none is left out between two pages.
pub async fn conversations_of_the_same_moment_are_all_there<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let all: Vec<_> = (1..=5).map(|number| history.group(number, &["ann"])).collect();
    for commit in &mut history.pending {
        commit.time = at(1);
    }
    history.settle(&*store).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    while seen.len() < all.len() {
        let (items, _) = list(&*store, "ann", 1, cursor).await;
        cursor = Some(items[0].cursor());
        seen.push(items[0].id);
    }
    assert_eq!(seen, all.iter().rev().copied().collect::<Vec<_>>());
}

/// Access follows membership, from the list to the last query.
pub async fn who_left_sees_nothing_and_who_is_back_sees_all<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send(id, "bob");
    history.leave(id, "bob", None);
    history.settle(&*store).await;
    assert!(ids(&*store, "bob").await.is_empty());
    assert_eq!(
        store
            .conversation(&tenant(), &user("bob"), id, NOW)
            .await
            .unwrap(),
        None
    );
    let memberships = store.memberships(&tenant(), &user("bob")).await.unwrap();
    assert_eq!(memberships.active().count(), 0);
    assert_eq!(store.members_of(&tenant(), id).await.unwrap(), [user("ann")]);
    let view = store
        .conversation(&tenant(), &user("ann"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((view.member_count, view.members.len()), (1, 1));
    history.send(id, "ann");
    history.join(id, &["bob"]);
    history.settle(&*store).await;
    assert_eq!(ids(&*store, "bob").await, [id]);
    let view = store
        .conversation(&tenant(), &user("bob"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((view.member_count, view.unread_count), (2, 0));
    assert_eq!(view.members[1].joined_at, at(5));
    let missing = ConversationId::from_bytes([9; 16]);
    assert_eq!(
        store
            .conversation(&tenant(), &user("bob"), missing, NOW)
            .await
            .unwrap(),
        None
    );
    assert!(store.members_of(&tenant(), missing).await.unwrap().is_empty());
}

/// The same user id is someone else there.
pub async fn nothing_crosses_from_one_tenant_to_another<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    history.profile("ann", "Ann of acme");
    let id = history.group(1, &["ann", "bob"]);
    let other = TenantId::parse("other").unwrap();
    history.tenant = other.clone();
    let theirs = history.group(2, &["ann"]);
    history.settle(&*store).await;
    assert_eq!(ids(&*store, "ann").await, [id]);
    assert_eq!(
        store.conversation(&other, &user("ann"), id, NOW).await.unwrap(),
        None
    );
    assert!(store.members_of(&other, id).await.unwrap().is_empty());
    let memberships = store.memberships(&other, &user("ann")).await.unwrap();
    assert_eq!(memberships.active().collect::<Vec<_>>(), [theirs]);
    assert!(store.profiles(&other, &[user("ann")]).await.unwrap().is_empty());
    let view = store
        .conversation(&other, &user("ann"), theirs, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.members[0].name, None);
}

/// The first by joining, whatever they are called; who left makes room.
pub async fn a_view_has_the_longest_standing_members<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let names: Vec<_> = (0..30).rev().map(|number| format!("user{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let id = history.group(1, &names[..25]);
    history.join(id, &names[25..]);
    history.leave(id, names[0], Some(names[1]));
    history.leave(id, names[3], None);
    history.join(id, &[names[0]]);
    // A small one beside it, so that the number is counted for each.
    let small = history.group(2, &names[..2]);
    history.settle(&*store).await;
    let (items, _) = list(&*store, names[0], 10, None).await;
    assert_eq!(items.iter().map(|item| item.id).collect::<Vec<_>>(), [small, id]);
    let shown = |view: &ConversationView| -> Vec<String> {
        view.members
            .iter()
            .map(|member| member.user_id.to_string())
            .collect()
    };
    assert_eq!(shown(&items[0]), &names[..2]);
    let mut standing: Vec<_> = names.clone();
    standing.retain(|name| *name != names[0] && *name != names[3]);
    assert_eq!(shown(&items[1]), &standing[..MEMBERS_IN_VIEW]);
    assert_eq!(items[1].member_count, 29);
    standing.push(names[0]);
    let all: Vec<_> = standing.into_iter().map(user).collect();
    assert_eq!(store.members_of(&tenant(), id).await.unwrap(), all);
}

/// And a group that everyone left is nobody's.
pub async fn the_owner_who_leaves_hands_over<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.leave(id, "ann", Some("bob"));
    history.settle(&*store).await;
    let view = store
        .conversation(&tenant(), &user("bob"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (view.owner, view.members[0].role),
        (Some(user("bob")), Role::Member)
    );
    history.leave(id, "bob", None);
    let joining = vec![(user("cid"), Role::Moderator)];
    history.happened(id, [Happened::MembersAdded { members: joining }]);
    history.settle(&*store).await;
    let view = store
        .conversation(&tenant(), &user("cid"), id, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (view.owner, view.members[0].role, view.member_count),
        (None, Role::Moderator, 1)
    );
}

/// Those who have none are left out.
pub async fn profiles_are_the_newest_ones<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    history.profile("ann", "Ann");
    history.settle(&*store).await;
    history.profile("ann", "Anna");
    history.profile("bob", "Bob");
    history.profile("bob", "Bobby");
    history.settle(&*store).await;
    let asked = ["ann", "bob", "cid", "ann"].map(user);
    let profiles = store.profiles(&tenant(), &asked).await.unwrap();
    let named = |id: &str, name: &str| {
        let avatar = Some(format!("https://example.org/{id}.png"));
        (
            user(id),
            Profile {
                name: Some(name.to_owned()),
                avatar,
                status: Status::Active,
            },
        )
    };
    assert_eq!(profiles, [named("ann", "Anna"), named("bob", "Bobby")].into());
}

/// How large conversations are, and who wrote in a stretch of one.
pub async fn sizes_and_authors_are_told<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let group = history.group(1, &["ann", "bob", "cid"]);
    let direct = history.direct("ann", "bob");
    history.send_all(group, &["ann", "bob", "bob", "cid"]);
    history.leave(group, "cid", None);
    history.settle(&*store).await;
    let nowhere = ConversationId::from_bytes([99; 16]);
    let sizes = store.sizes(&[direct, nowhere, group]).await.unwrap();
    assert_eq!(sizes, [(group, 2), (direct, 2)].into());
    for (above, up_to, expected) in [
        (0, 4, vec!["ann", "bob", "cid"]),
        (1, 3, vec!["bob"]),
        (4, 4, vec![]),
        (3, u64::MAX, vec!["cid"]),
    ] {
        let mut authors = store.authors(group, above, ordinal(up_to)).await.unwrap();
        authors.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(user).collect();
        assert_eq!(authors, expected, "above {above} up to {up_to}");
    }
}
