//! Whatever happens, in whatever batches: unread and receipts are what a count over all events gives,
//! and the tables are the same.

use std::collections::{BTreeMap, BTreeSet};

use domain::conversation::Event as Happened;
use domain::conversation::reads::Marks;
use domain::testing::user;
use domain::user::Event as Keeps;
use domain::{ConversationId, MessageId, Timestamp, UserId};
use eventstore::envelope::{Commit, Event};
use eventstore::subject::Stream;
use projections::contract::{History, Home, NOW, ordinal, tenant};
use projections::view::ReceiptRange;
use projections::{ReadModel, Receipt};
use proptest::prelude::*;

use crate::home::{PostgresHome, SqliteHome};

const NAMES: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const FOUNDERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<usize>),
    /// Of all messages there are, so many thousandths.
    Read(usize, u64),
    Unread(usize, u64),
    Leave(usize),
    Join(usize),
    /// Of all messages there are, so many thousandths.
    Delete(u64),
    Edit(u64),
    Hide(usize, u64),
    React(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..NAMES.len();
    prop_oneof![
        4 => prop::collection::vec(who.clone(), 1..4).prop_map(Step::Send),
        3 => (who.clone(), 0..=1000_u64).prop_map(|(who, part)| Step::Read(who, part)),
        2 => (who.clone(), 0..=1000_u64).prop_map(|(who, part)| Step::Unread(who, part)),
        1 => who.clone().prop_map(Step::Leave),
        1 => who.clone().prop_map(Step::Join),
        1 => (0..=1000_u64).prop_map(Step::Delete),
        1 => (0..=1000_u64).prop_map(Step::Edit),
        1 => (who.clone(), 0..=1000_u64).prop_map(|(who, part)| Step::Hide(who, part)),
        2 => (who, 0..=1000_u64).prop_map(|(who, part)| Step::React(who, part)),
    ]
}

fn in_(conversation: ConversationId, number: u64) -> MessageId {
    MessageId {
        conversation,
        ordinal: ordinal(number),
    }
}

/// What the domain would have let happen of these steps. Marks of someone who just left may still come.
fn history_of(steps: &[Step]) -> (History, ConversationId) {
    let mut history = History::default();
    let id = history.group(1, &NAMES[..FOUNDERS]);
    let mut active: Vec<_> = (0..NAMES.len()).map(|who| who < FOUNDERS).collect();
    let mut known = active.clone();
    let mut last = 0;
    let (mut deleted, mut reactions) = (BTreeSet::new(), BTreeSet::new());
    for step in steps {
        match step {
            Step::Send(senders) => {
                let senders: Vec<_> = senders
                    .iter()
                    .filter(|who| active[**who])
                    .map(|who| NAMES[*who])
                    .collect();
                if !senders.is_empty() {
                    last += senders.len() as u64;
                    history.send_all(id, &senders);
                }
            }
            Step::Read(who, part) if known[*who] && last > 0 => {
                history.read(id, NAMES[*who], (last * part / 1000).max(1));
            }
            Step::Unread(who, part) if known[*who] && last > 0 => {
                history.unread(id, NAMES[*who], last * part / 1000);
            }
            Step::Leave(who) if active[*who] => {
                active[*who] = false;
                history.leave(id, NAMES[*who], None);
            }
            Step::Join(who) if !active[*who] => {
                (active[*who], known[*who]) = (true, true);
                history.join(id, &[NAMES[*who]]);
            }
            Step::Delete(part) | Step::Edit(part) | Step::React(_, part) if last > 0 => {
                let message = in_(id, (last * part / 1000).max(1));
                if deleted.contains(&message) {
                    continue;
                }
                match step {
                    Step::Delete(_) => {
                        deleted.insert(message);
                        history.delete(message, NAMES[0]);
                    }
                    Step::Edit(_) => drop(history.edit(message, NAMES[0], "anew")),
                    Step::React(who, _) if reactions.insert((message, *who)) => {
                        history.react(message, NAMES[*who], "👍");
                    }
                    Step::React(who, _) => {
                        reactions.remove(&(message, *who));
                        history.unreact(message, NAMES[*who], "👍");
                    }
                    _ => {}
                }
            }
            Step::Hide(who, part) if known[*who] && last > 0 => {
                let message = in_(id, (last * part / 1000).max(1));
                history.keeps(NAMES[*who], Keeps::Hidden(message));
            }
            _ => {}
        }
    }
    (history, id)
}

/// What counting gives: a message at a time, a member at a time.
#[derive(Default)]
struct Counted {
    senders: Vec<UserId>,
    members: BTreeMap<UserId, CountedMember>,
    deleted: BTreeSet<u64>,
    hidden: BTreeSet<(UserId, u64)>,
}

#[derive(Default)]
struct CountedMember {
    is_active: bool,
    marks: Marks,
    /// When each message was read, by ordinal from 1 on.
    read_at: Vec<Timestamp>,
}

impl CountedMember {
    fn moved(&mut self, at: Timestamp) {
        while (self.read_at.len() as u64) < self.marks.receipt {
            self.read_at.push(at);
        }
    }
}

impl Counted {
    fn take(&mut self, commit: &Commit) {
        let last = self.senders.len() as u64;
        for recorded in &commit.events {
            match &recorded.event {
                Event::Conversation(
                    Happened::Created { members, .. } | Happened::MembersAdded { members },
                ) => {
                    for (user, _) in members {
                        let member = self.members.entry(user.clone()).or_default();
                        member.is_active = true;
                        member.marks.join(last);
                    }
                }
                Event::Conversation(Happened::MemberLeft { member, .. }) => {
                    self.members.get_mut(member).unwrap().is_active = false;
                }
                Event::Conversation(Happened::MessageSent(message)) => {
                    self.senders.push(message.sender.clone());
                    let member = self.members.get_mut(&message.sender).unwrap();
                    member.marks.sent(message.ordinal);
                    member.moved(commit.time);
                }
                Event::Read(event) => {
                    let member = self.members.get_mut(event.member()).unwrap();
                    member.marks.apply(event);
                    member.moved(commit.time);
                }
                Event::Conversation(Happened::MessageDeleted { message, .. }) => {
                    self.deleted.insert(message.get());
                }
                Event::User(Keeps::Hidden(message)) => {
                    let Stream::User(_, user) = &commit.stream else {
                        panic!("not a user's")
                    };
                    self.hidden.insert((user.clone(), message.ordinal.get()));
                }
                Event::Conversation(_) | Event::User(_) => {}
            }
        }
    }

    fn unread(&self, user: &UserId) -> Option<u64> {
        let member = self.members.get(user).filter(|member| member.is_active)?;
        let after = (1..)
            .zip(&self.senders)
            .filter(|(number, _)| *number > member.marks.read);
        let counts =
            |number: &u64| !self.deleted.contains(number) && !self.hidden.contains(&(user.clone(), *number));
        Some(
            after
                .filter(|(number, sender)| *sender != user && counts(number))
                .count() as u64,
        )
    }

    /// How many members but the sender there are, and how many of them have read a message.
    fn receipt_counts(&self, number: u64) -> (u64, u64) {
        let index = usize::try_from(number - 1).unwrap();
        let others = self
            .members
            .iter()
            .filter(|(user, _)| **user != self.senders[index]);
        let active: Vec<_> = others.filter(|(_, member)| member.is_active).collect();
        let read = active.iter().filter(|(_, member)| member.read_at.len() > index);
        (active.len() as u64, read.count() as u64)
    }

    fn read_by(&self, number: u64) -> Vec<Receipt> {
        let index = usize::try_from(number - 1).unwrap();
        let others = self
            .members
            .iter()
            .filter(|(user, _)| **user != self.senders[index]);
        others
            .filter_map(|(user, member)| Some((user.clone(), *member.read_at.get(index)?)))
            .collect()
    }
}

async fn agrees(store: &impl ReadModel, counted: &Counted, id: ConversationId) {
    for name in NAMES {
        let unread = store.unread(&tenant(), &user(name), id).await.unwrap();
        assert_eq!(unread, counted.unread(&user(name)), "unread of {name}");
        let view = store.conversation(&tenant(), &user(name), id, NOW).await.unwrap();
        assert_eq!(
            view.map(|view| view.unread_count),
            unread,
            "unread of {name} in the view"
        );
    }
}

/// Takes a history in, cut into batches of these sizes, and answers the tables.
async fn tables_of<H: Home>(mut history: History, id: ConversationId, batches: &[usize]) -> String {
    let home = H::fresh().await;
    let mut store = home.open().await;
    let mut counted = Counted::default();
    let mut left = std::mem::take(&mut history.pending);
    let mut sizes = batches.iter().cycle();
    while !left.is_empty() {
        let size = (*sizes.next().unwrap()).min(left.len());
        history.pending = left.drain(..size).collect();
        history.pending.iter().for_each(|commit| counted.take(commit));
        history.settle(&*store).await;
        agrees(&*store, &counted, id).await;
        if size % 5 == 4 {
            drop(store);
            store = home.open().await;
        }
    }
    let asking = counted
        .members
        .iter()
        .find(|(_, member)| member.is_active)
        .map(|(user, _)| user.clone());
    for number in 1..=counted.senders.len() as u64 {
        let message = MessageId {
            conversation: id,
            ordinal: ordinal(number),
        };
        let Some(asking) = &asking else { break };
        let range = ReceiptRange {
            limit: 100,
            after: None,
        };
        let page = store.receipts(&tenant(), asking, message, range).await;
        let page = page.unwrap().unwrap();
        let expected = counted.read_by(number);
        assert_eq!(page.items, expected, "who has read {number}");
        let (total, read) = counted.receipt_counts(number);
        assert_eq!(
            (page.total_members, page.read_count),
            (total, read),
            "of {number}"
        );
    }
    home.dump().await
}

fn any_batches<H: Home>(steps: &[Step], batches: &[usize], other_batches: &[usize]) {
    let (history, id) = history_of(steps);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tables = tables_of::<H>(history.clone(), id, batches).await;
        assert_eq!(tables, tables_of::<H>(history.clone(), id, other_batches).await);
        assert_eq!(tables, tables_of::<H>(history, id, &[usize::MAX]).await);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_history_in_any_batches_is_what_counting_gives(
        steps in prop::collection::vec(step(), 1..60),
        batches in prop::collection::vec(1..12_usize, 1..8),
        other_batches in prop::collection::vec(1..30_usize, 1..4),
    ) {
        any_batches::<SqliteHome>(&steps, &batches, &other_batches);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_what_counting_gives_in_postgres_too(
        steps in prop::collection::vec(step(), 1..60),
        batches in prop::collection::vec(1..12_usize, 1..8),
        other_batches in prop::collection::vec(1..30_usize, 1..4),
    ) {
        any_batches::<PostgresHome>(&steps, &batches, &other_batches);
    }
}
