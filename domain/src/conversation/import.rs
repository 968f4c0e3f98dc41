//! Taking in messages of another system: each line once, whoever repeats it and wherever it stopped.

use std::collections::BTreeSet;

use super::{Body, Conversation, Error, Event, GroupInfo, Kind, Message, MessageKind};
use crate::permission::Role;
use crate::values::Content;
use crate::{Ordinal, Private, Timestamp, UserId};

/// One message of another system.
#[derive(Clone, Debug)]
pub struct ImportedLine {
    /// Its place in the source, rising.
    pub line: u64,
    /// Who wrote it.
    pub sender: UserId,
    /// Its text.
    pub content: Content,
    /// When it was written.
    pub sent_at: Timestamp,
    /// The message it answers.
    pub reply_to: Option<Ordinal>,
}

/// Decides an import: the lines above the last one taken in become messages.
pub(super) fn decide(
    state: &Conversation,
    about: &GroupInfo,
    lines: &[ImportedLine],
) -> Result<Vec<Event>, Error> {
    let fresh: Vec<_> = lines
        .iter()
        .filter(|l| Some(l.line) > state.last_imported_line)
        .collect();
    let Some(first) = fresh.first() else {
        return Ok(Vec::new());
    };
    let mut events = Vec::with_capacity(fresh.len() + 1);
    let mut seen = BTreeSet::new();
    let mut joining: Vec<_> = fresh
        .iter()
        .map(|line| &line.sender)
        .filter(|sender| !state.members.contains_key(sender) && seen.insert(*sender))
        .map(|sender| (sender.clone(), Role::Member))
        .collect();
    if state.kind.is_none() {
        joining[0].1 = Role::Admin;
        events.push(Event::Created {
            kind: Kind::Group,
            founder: first.sender.clone(),
            owner: Some(first.sender.clone()),
            members: joining,
            about: Some(Private::Readable(about.clone())),
        });
    } else if !joining.is_empty() {
        events.push(Event::MembersAdded { members: joining });
    }
    for (index, line) in fresh.into_iter().enumerate() {
        let ordinal = Ordinal::after(state.last_ordinal + index as u64);
        if let Some(answered) = line.reply_to.filter(|answered| *answered >= ordinal) {
            return Err(Error::NoSuchMessage(answered));
        }
        events.push(Event::MessageSent(Message {
            ordinal,
            sender: line.sender.clone(),
            kind: MessageKind::Text,
            body: Private::Readable(Body::text(line.content.clone(), None)),
            reply_to: line.reply_to,
            sent_at: line.sent_at,
            imported_line: Some(line.line),
        }));
    }
    Ok(events)
}
