//! How users keep their conversations: hidden messages, archive and mute, filters and numbers.

use domain::conversation::{Event as Happened, InfoChange, InfoField, Kind};
use domain::permission::Role;
use domain::testing::user;
use domain::user::Event as Keeps;
use domain::values::{Description, GroupName};
use domain::{ConversationId, MessageId, Private, Timestamp};

use super::{History, Home, NOW, at, ordinal, tenant};
use crate::store::ReadModel;
use crate::view::{ConversationStats, ConversationView, ListFilter, ListRange, MessageRange};

async fn view(store: &dyn ReadModel, asking: &str, id: ConversationId) -> ConversationView {
    view_at(store, asking, id, NOW).await
}

async fn view_at(
    store: &dyn ReadModel,
    asking: &str,
    id: ConversationId,
    now: Timestamp,
) -> ConversationView {
    let view = store.conversation(&tenant(), &user(asking), id, now).await;
    view.unwrap().unwrap()
}

async fn ordinals(store: &dyn ReadModel, asking: &str, id: ConversationId, limit: u32) -> Vec<u64> {
    let range = MessageRange {
        limit,
        before: None,
        after: None,
    };
    let page = store.messages(&tenant(), &user(asking), id, range).await.unwrap();
    page.unwrap()
        .items
        .iter()
        .map(|item| item.id.ordinal.get())
        .collect()
}

fn in_(conversation: ConversationId, number: u64) -> MessageId {
    MessageId {
        conversation,
        ordinal: ordinal(number),
    }
}

/// A page without it is as full as any other, and the preview is of what is seen.
pub async fn a_hidden_message_is_gone_for_one_user_alone<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["ann"; 5]);
    history.keeps("bob", Keeps::Hidden(in_(id, 5)));
    history.keeps("bob", Keeps::Hidden(in_(id, 3)));
    history.keeps("bob", Keeps::Hidden(in_(id, 3)));
    history.settle(&*store).await;
    assert_eq!(ordinals(&*store, "bob", id, 3).await, [1, 2, 4]);
    assert_eq!(ordinals(&*store, "ann", id, 3).await, [3, 4, 5]);
    assert_eq!(
        view(&*store, "bob", id).await.last_message.as_deref(),
        Some("ann says 4")
    );
    assert_eq!(
        view(&*store, "ann", id).await.last_message.as_deref(),
        Some("ann says 5")
    );
    let asked = [in_(id, 2), in_(id, 3)];
    let found = store.hydrate(&tenant(), &user("bob"), &asked).await.unwrap();
    assert_eq!(
        found.iter().map(|found| found.id).collect::<Vec<_>>(),
        [in_(id, 2)]
    );
    let answer = store
        .hydrate(&tenant(), &user("bob"), &[in_(id, 4)])
        .await
        .unwrap();
    assert_eq!(
        (answer[0].reply_to, &answer[0].answered),
        (Some(ordinal(3)), &None)
    );
    let versions = store.message_versions(&tenant(), &user("bob"), in_(id, 3)).await;
    assert_eq!(versions.unwrap(), None);
    for message in 1..=5 {
        history.keeps("bob", Keeps::Hidden(in_(id, message)));
    }
    history.settle(&*store).await;
    let nothing = view(&*store, "bob", id).await;
    assert_eq!(
        (
            nothing.last_message,
            nothing.last_message_at,
            nothing.unread_count
        ),
        (None, None, 0)
    );
}

/// Each once, whatever else it is.
pub async fn what_is_deleted_or_hidden_is_not_unread<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["ann", "ann", "ann", "bob", "ann", "ann"]);
    history.unread(id, "bob", 0);
    history.settle(&*store).await;
    let unread = async |expected: u64| {
        let alone = store.unread(&tenant(), &user("bob"), id).await.unwrap();
        let shown = view(&*store, "bob", id).await.unread_count;
        assert_eq!((alone, shown), (Some(expected), expected));
    };
    unread(5).await;
    history.delete(in_(id, 1), "ann");
    history.keeps("bob", Keeps::Hidden(in_(id, 1)));
    history.settle(&*store).await;
    unread(4).await;
    history.keeps("bob", Keeps::Hidden(in_(id, 4)));
    history.delete(in_(id, 4), "bob");
    history.keeps("bob", Keeps::Hidden(in_(id, 5)));
    history.settle(&*store).await;
    unread(3).await;
    history.read(id, "bob", 5);
    history.settle(&*store).await;
    unread(1).await;
    history.delete(in_(id, 6), "ann");
    history.settle(&*store).await;
    unread(0).await;
}

/// As of recorded times, and nothing is written for it.
pub async fn an_archived_conversation_comes_back_with_a_message<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send(id, "ann");
    history.keeps("bob", Keeps::Archived(id));
    history.settle(&*store).await;
    assert!(view(&*store, "bob", id).await.is_archived && !view(&*store, "ann", id).await.is_archived);
    history.join(id, &["cid"]);
    history.settle(&*store).await;
    assert!(view(&*store, "bob", id).await.is_archived, "nothing was said");
    history.send(id, "ann");
    history.settle(&*store).await;
    assert!(!view(&*store, "bob", id).await.is_archived);
    history.keeps("bob", Keeps::Archived(id));
    history.settle(&*store).await;
    assert!(view(&*store, "bob", id).await.is_archived, "put away once more");
    history.keeps("bob", Keeps::Unarchived(id));
    history.settle(&*store).await;
    assert!(!view(&*store, "bob", id).await.is_archived);
}

/// For as long as it is muted; a mute ends by itself.
pub async fn a_muted_conversation_stays_archived<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let until = Some(at(100));
    history.keeps("bob", Keeps::Archived(id));
    history.keeps(
        "bob",
        Keeps::Muted {
            conversation: id,
            until,
        },
    );
    history.send(id, "ann");
    history.settle(&*store).await;
    let (before, after) = (at(99), at(100));
    let shown = view_at(&*store, "bob", id, before).await;
    assert_eq!(
        (shown.is_archived, shown.is_muted, shown.muted_until),
        (true, true, until)
    );
    let shown = view_at(&*store, "bob", id, after).await;
    assert_eq!(
        (shown.is_archived, shown.is_muted, shown.muted_until),
        (false, false, None)
    );
    history.keeps(
        "bob",
        Keeps::Muted {
            conversation: id,
            until: None,
        },
    );
    history.settle(&*store).await;
    let shown = view(&*store, "bob", id).await;
    assert_eq!(
        (shown.is_archived, shown.is_muted, shown.muted_until),
        (true, true, None)
    );
    history.keeps("bob", Keeps::Unmuted(id));
    history.settle(&*store).await;
    let shown = view(&*store, "bob", id).await;
    assert_eq!((shown.is_archived, shown.is_muted), (false, false));
}

/// Two groups and a direct conversation, of which Bob reads one, archives one and mutes one.
async fn kept(store: &(impl ReadModel + crate::store::ProjectionStore)) -> [ConversationId; 3] {
    let mut history = History::default();
    history.profile("ann", "Ánh Đào");
    history.profile("bob", "Bob");
    let direct = history.direct("ann", "bob");
    let garden = history.group(1, &["cid", "bob"]);
    let house = history.group(2, &["ann", "bob"]);
    history.send(direct, "ann");
    history.send_all(garden, &["cid", "cid"]);
    history.keeps("bob", Keeps::Archived(garden));
    history.keeps(
        "bob",
        Keeps::Muted {
            conversation: house,
            until: None,
        },
    );
    let change = InfoChange {
        name: Some(GroupName::parse("Căn Nhà").unwrap()),
        ..InfoChange::default()
    };
    history.happened(
        house,
        [Happened::InfoChanged {
            by: user("ann"),
            fields: change.fields(),
            change: Private::Readable(change),
        }],
    );
    history.settle(store).await;
    [direct, garden, house]
}

/// All that is asked, and pages go on through what is left.
pub async fn the_list_is_filtered_by_what_is_asked<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let [direct, garden, house] = kept(&*store).await;
    let filter = |change: fn(&mut ListFilter)| {
        let mut filter = ListFilter::default();
        change(&mut filter);
        filter
    };
    let text = |text: &str| ListFilter {
        text: Some(text.to_owned()),
        ..ListFilter::default()
    };
    let cases = [
        (filter(|_| {}), vec![garden, direct, house]),
        (filter(|f| f.kind = Some(Kind::Direct)), vec![direct]),
        (filter(|f| f.kind = Some(Kind::Group)), vec![garden, house]),
        (filter(|f| f.archived = Some(true)), vec![garden]),
        (filter(|f| f.archived = Some(false)), vec![direct, house]),
        (filter(|f| f.muted = Some(true)), vec![house]),
        (filter(|f| f.muted = Some(false)), vec![garden, direct]),
        (filter(|f| f.unread = Some(true)), vec![garden, direct]),
        (filter(|f| f.unread = Some(false)), vec![house]),
        (
            filter(|f| (f.unread, f.archived) = (Some(true), Some(false))),
            vec![direct],
        ),
        (text("can nha"), vec![house]),
        (text("NHÀ"), vec![house]),
        (text("anh dao"), vec![direct, house]),
        (text("bob"), vec![]),
        (text("%"), vec![]),
        (text("group 1"), vec![garden]),
        (text("group 2"), vec![]),
    ];
    for (filter, expected) in cases {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let range = ListRange {
                limit: 1,
                after,
                filter: &filter,
            };
            let page = store
                .conversations(&tenant(), &user("bob"), range, NOW)
                .await
                .unwrap();
            found.extend(page.items.iter().map(|item| item.id));
            after = page.items.last().map(ConversationView::cursor);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}

/// All at once, for one user.
pub async fn conversations_are_counted<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let nobody = store
        .conversation_stats(&tenant(), &user("eve"), NOW)
        .await
        .unwrap();
    assert_eq!(nobody, ConversationStats::default());
    kept(&*store).await;
    let stats = store
        .conversation_stats(&tenant(), &user("bob"), NOW)
        .await
        .unwrap();
    let expected = ConversationStats {
        total: 3,
        direct: 1,
        archived: 1,
        muted: 1,
        unread_conversations: 2,
        unread_messages: 3,
    };
    assert_eq!(stats, expected);
}

/// The longest-standing first, and who left is not among them.
pub async fn members_come_in_pages<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob", "cid", "dan"]);
    history.leave(id, "bob", None);
    history.join(id, &["eve", "bob"]);
    history.settle(&*store).await;
    let (mut names, mut from) = (Vec::new(), Some(0));
    while let Some(standing) = from {
        let page = store
            .member_page(&tenant(), &user("cid"), id, standing, 2)
            .await
            .unwrap()
            .unwrap();
        assert!(page.items.len() <= 2);
        names.extend(page.items.into_iter().map(|member| member.user_id));
        from = page.next;
    }
    assert_eq!(names, ["ann", "cid", "dan", "eve", "bob"].map(user));
    let beyond = store
        .member_page(&tenant(), &user("cid"), id, u64::MAX, 2)
        .await
        .unwrap();
    assert_eq!(beyond, Some(crate::view::MemberPage::default()));
    let named = [user("dan"), user("nobody"), user("ann")];
    let mut found = store
        .members_named(&tenant(), &user("cid"), id, &named)
        .await
        .unwrap();
    found.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    let found: Vec<_> = found
        .into_iter()
        .map(|member| (member.user_id, member.role))
        .collect();
    assert_eq!(found, [(user("ann"), Role::Admin), (user("dan"), Role::Member)]);
}

/// What is not named stays, and of an erased change nothing is left.
pub async fn a_group_is_renamed_and_its_members_change<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob", "cid"]);
    history.settle(&*store).await;
    let change = InfoChange {
        name: None,
        description: Some(Some(Description::parse("anew").unwrap())),
        avatar: Some(None),
    };
    history.happened(
        id,
        [
            Happened::InfoChanged {
                by: user("ann"),
                fields: change.fields(),
                change: Private::Readable(change),
            },
            Happened::RoleChanged {
                member: user("bob"),
                role: Role::Moderator,
            },
            Happened::MemberRemoved { member: user("cid") },
        ],
    );
    history.settle(&*store).await;
    let found = view(&*store, "bob", id).await;
    assert_eq!(
        (found.name.as_deref(), found.description.as_deref(), found.avatar),
        (Some("group 1"), Some("anew"), None)
    );
    assert_eq!((found.role, found.member_count), (Role::Moderator, 2));
    let gone = store
        .conversation(&tenant(), &user("cid"), id, NOW)
        .await
        .unwrap();
    assert_eq!(gone, None);
    history.happened(
        id,
        [Happened::InfoChanged {
            by: user("ann"),
            fields: vec![InfoField::Name],
            change: Private::Erased,
        }],
    );
    history.settle(&*store).await;
    let found = view(&*store, "bob", id).await;
    assert_eq!((found.name, found.description.as_deref()), (None, Some("anew")));
}
