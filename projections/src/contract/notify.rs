//! Who is to be notified, and where.

use domain::push::{PushEndpoint, PushPoint, PushSecret, PushTarget};
use domain::testing::user;
use domain::user::Event as Keeps;
use domain::{ConversationId, MessageId, Private, PushId, Timestamp, UserId};

use super::{History, Home, NOW, ordinal, tenant};
use crate::notify::{Noticed, RecipientPage};
use crate::store::ReadModel;

fn noticed(conversation: ConversationId, number: u64, sequence: u64) -> Noticed {
    Noticed {
        message: MessageId {
            conversation,
            ordinal: ordinal(number),
        },
        sequence,
    }
}

fn names(users: &[UserId]) -> Vec<&str> {
    users.iter().map(UserId::as_str).collect()
}

async fn page(store: &dyn ReadModel, of: Noticed, from: u64, limit: u32, now: Timestamp) -> RecipientPage {
    let page = store.recipients(&tenant(), of, from, limit, now).await;
    page.unwrap()
}

fn target(number: u8) -> PushTarget {
    PushTarget {
        endpoint: PushEndpoint::parse(format!("https://push.example.com/{number}")).unwrap(),
        p256dh: PushPoint::parse(format!("B{}", "a".repeat(86))).unwrap(),
        auth: PushSecret::parse("b".repeat(22)).unwrap(),
    }
}

fn subscribed(id: &str, number: u8, target: Private<PushTarget>) -> Keeps {
    Keeps::PushSubscribed {
        user: user(id),
        subscription: PushId::from_bytes([number; 16]),
        target,
    }
}

/// Neither who joined later, nor who has left, has read it or is muted at the time.
pub async fn members_are_notified_who_were_there_and_have_not_read<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob", "cat", "dan", "eve"]);
    let message = history.send(id, "ann");
    let sequence = history.react(message, "ann", "👍");
    let of = noticed(id, 1, sequence);
    history.join(id, &["fay"]);
    history.settle(&*store).await;
    let all = page(&*store, of, 0, 10, NOW).await;
    assert_eq!(
        (names(&all.users), all.next),
        (vec!["bob", "cat", "dan", "eve"], None)
    );
    let first = page(&*store, of, 0, 3, NOW).await;
    assert_eq!(names(&first.users), ["bob", "cat", "dan"]);
    let second = page(&*store, of, first.next.unwrap(), 3, NOW).await;
    assert_eq!((names(&second.users), second.next), (vec!["eve"], None));

    let later = Timestamp::from_millis(NOW.as_millis() + 1_000);
    history.keeps(
        "bob",
        Keeps::Muted {
            conversation: id,
            until: Some(later),
        },
    );
    history.read(id, "cat", 1);
    history.leave(id, "dan", None);
    history.settle(&*store).await;
    let left = page(&*store, of, 0, 10, NOW).await;
    assert_eq!(names(&left.users), ["eve"]);
    let unmuted = page(&*store, of, 0, 10, later).await;
    assert_eq!(names(&unmuted.users), ["bob", "eve"]);

    let among = async |now: Timestamp| {
        let asked = ["dan", "eve", "bob", "cat", "nobody"].map(user);
        let among = store.recipients_among(&tenant(), of.message, &asked, now).await;
        names(&among.unwrap()).join(" ")
    };
    assert_eq!(among(NOW).await, "eve");
    assert_eq!(among(later).await, "bob eve");
    history.keeps("eve", Keeps::Hidden(of.message));
    history.settle(&*store).await;
    assert_eq!(among(NOW).await, "");
    let other = domain::TenantId::parse("elsewhere").unwrap();
    let nobody = store.recipients(&other, of, 0, 10, later).await.unwrap();
    assert_eq!(nobody, RecipientPage::default());
}

/// Until it ends, or is erased; with the keys that it was subscribed with last.
pub async fn a_device_is_known_until_it_ends<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    history.keeps("bob", subscribed("bob", 1, Private::Readable(target(1))));
    history.keeps("bob", subscribed("bob", 2, Private::Readable(target(2))));
    history.keeps("ann", subscribed("ann", 1, Private::Readable(target(3))));
    history.settle(&*store).await;
    let devices = async |asked: &[&str]| {
        let asked: Vec<_> = asked.iter().map(|name| user(name)).collect();
        let found = store.push_subscriptions(&tenant(), &asked).await.unwrap();
        found
            .into_iter()
            .map(|device| (device.user.to_string(), device.id.to_bytes()[0], device.target))
            .collect::<Vec<_>>()
    };
    let (ann, bob) = ("ann".to_owned(), "bob".to_owned());
    assert_eq!(
        devices(&["bob", "nobody", "ann"]).await,
        [
            (ann, 1, target(3)),
            (bob.clone(), 1, target(1)),
            (bob.clone(), 2, target(2))
        ]
    );
    assert!(devices(&[]).await.is_empty());
    history.keeps("bob", subscribed("bob", 2, Private::Readable(target(9))));
    history.keeps("bob", Keeps::PushUnsubscribed(PushId::from_bytes([1; 16])));
    history.keeps("bob", Keeps::PushUnsubscribed(PushId::from_bytes([7; 16])));
    history.settle(&*store).await;
    assert_eq!(devices(&["bob"]).await, [(bob, 2, target(9))]);
    history.keeps("bob", subscribed("bob", 2, Private::Erased));
    history.settle(&*store).await;
    assert!(devices(&["bob"]).await.is_empty());
}
