//! Read marks: what a member has read, recorded beside the conversation's stream.
//!
//! Marks contend with nobody: they are appended without an expectation and folded in the order of the
//! log. [`Marks`] is that fold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Conversation, Error};
use crate::{Ordinal, UserId};

/// What a member wants of the own mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Everything up to this message is read; without one, everything there is.
    MarkRead(Option<Ordinal>),
    /// This message and everything after it is unread.
    MarkUnread(Ordinal),
}

/// What happened to a member's mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Read up to here: the highest wins.
    ReadMarked {
        /// Whose mark it is.
        member: UserId,
        /// The newest message that was read.
        up_to: Ordinal,
    },
    /// The mark is now here, forwards or backwards.
    MarkedUnread {
        /// Whose mark it is.
        member: UserId,
        /// The newest message that counts as read; 0 when none does.
        mark: u64,
    },
}

impl Event {
    /// Whose mark it is.
    #[must_use]
    pub const fn member(&self) -> &UserId {
        match self {
            Self::ReadMarked { member, .. } | Self::MarkedUnread { member, .. } => member,
        }
    }
}

/// Decides a read command; `None` when there is nothing to read yet.
///
/// # Errors
/// [`Error::NotFound`] for someone who is not a member, [`Error::NoSuchMessage`] for a message that
/// does not exist.
pub fn decide(state: &Conversation, member: &UserId, command: Command) -> Result<Option<Event>, Error> {
    state.member(member)?;
    let member = member.clone();
    match command {
        Command::MarkRead(up_to) => {
            up_to.map_or(Ok(()), |ordinal| state.check_message(ordinal))?;
            let up_to = up_to.or_else(|| Ordinal::new(state.last_ordinal()));
            Ok(up_to.map(|up_to| Event::ReadMarked { member, up_to }))
        }
        Command::MarkUnread(from) => {
            state.check_message(from)?;
            Ok(Some(Event::MarkedUnread {
                member,
                mark: from.get() - 1,
            }))
        }
    }
}

/// Leaves out the marks that a later, higher one of the same member makes superfluous. What was marked
/// unread is never crossed: both sides of it stay.
#[must_use]
pub fn coalesce(events: Vec<Event>) -> Vec<Event> {
    let mut highest: BTreeMap<UserId, usize> = BTreeMap::new();
    let mut kept: Vec<Event> = Vec::with_capacity(events.len());
    for event in events {
        match &event {
            Event::MarkedUnread { member, .. } => {
                highest.remove(member);
            }
            Event::ReadMarked { member, up_to } => {
                if let Some(Event::ReadMarked { up_to: known, .. }) =
                    highest.get(member).and_then(|index| kept.get_mut(*index))
                {
                    *known = (*known).max(*up_to);
                    continue;
                }
                highest.insert(member.clone(), kept.len());
            }
        }
        kept.push(event);
    }
    kept
}

/// The two marks of a member: what counts as read, and what others may know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Unread are the messages of others above this ordinal.
    pub read: u64,
    /// The highest ordinal ever read: receipts follow it, and it never goes back.
    pub receipt: u64,
}

impl Marks {
    /// Joining or joining again: everything before counts as read, but nobody is told so.
    pub const fn join(&mut self, last_ordinal: u64) {
        self.read = last_ordinal;
    }

    /// Sending a message: whoever answers has read.
    pub fn sent(&mut self, own: Ordinal) {
        self.advance(own.get());
    }

    /// A read event of this member.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::ReadMarked { up_to, .. } => self.advance(up_to.get()),
            Event::MarkedUnread { mark, .. } => self.read = *mark,
        }
    }

    fn advance(&mut self, ordinal: u64) {
        self.read = self.read.max(ordinal);
        self.receipt = self.receipt.max(ordinal);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::user;

    fn read(member: &str, up_to: u64) -> Event {
        Event::ReadMarked {
            member: user(member),
            up_to: Ordinal::new(up_to).unwrap(),
        }
    }

    fn unread(member: &str, mark: u64) -> Event {
        Event::MarkedUnread {
            member: user(member),
            mark,
        }
    }

    #[test]
    fn the_highest_mark_wins_and_unread_assigns() {
        let mut marks = Marks::default();
        marks.apply(&read("ann", 5));
        marks.apply(&read("ann", 3));
        assert_eq!(marks, Marks { read: 5, receipt: 5 });
        marks.apply(&unread("ann", 1));
        assert_eq!(marks, Marks { read: 1, receipt: 5 });
        marks.sent(Ordinal::new(9).unwrap());
        assert_eq!(marks, Marks { read: 9, receipt: 9 });
    }

    #[test]
    fn marks_of_one_member_become_one_but_never_across_an_unread() {
        let events = vec![
            read("ann", 1),
            read("bob", 7),
            read("ann", 3),
            unread("ann", 0),
            read("ann", 2),
        ];
        let expected = vec![read("ann", 3), read("bob", 7), unread("ann", 0), read("ann", 2)];
        assert_eq!(coalesce(events), expected);
    }

    proptest! {
        #[test]
        fn coalescing_changes_no_fold(
            moves in prop::collection::vec((0..3_usize, prop::bool::ANY, 1..20_u64), 0..40),
        ) {
            let names = ["ann", "bob", "cid"];
            let events: Vec<_> = moves
                .into_iter()
                .map(|(who, up, n)| if up { read(names[who], n) } else { unread(names[who], n - 1) })
                .collect();
            let fold = |events: &[Event], name: &str| {
                let mut marks = Marks::default();
                events.iter().filter(|e| e.member() == &user(name)).for_each(|e| marks.apply(e));
                marks
            };
            let coalesced = coalesce(events.clone());
            for name in names {
                prop_assert_eq!(fold(&events, name), fold(&coalesced, name));
            }
        }
    }
}
