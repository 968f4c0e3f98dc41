//! Messages: sending them, and what may become of one afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::{Body, Command, Conversation, Edit, Error, Event, Kind, Message, MessageKind, Reaction};
use crate::aggregate::Context;
use crate::permission::Permission;
use crate::values::{Content, Emoji};
use crate::{Ordinal, Private, Timestamp, UserId};

/// The most different reactions of one user to one message.
pub const MAX_REACTIONS: usize = 20;

type Decided = Result<Vec<Event>, Error>;

/// What the rules need to know of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Who sent it.
    pub sender: UserId,
    /// Its type.
    pub kind: MessageKind,
    /// The message it answers.
    pub reply_to: Option<Ordinal>,
    /// When it was sent, as people see it.
    pub sent_at: Timestamp,
    /// Whether it was deleted for everyone.
    pub is_deleted: bool,
    /// What those who are asked about reacted with.
    pub reactions: BTreeMap<UserId, BTreeSet<Emoji>>,
}

/// What an event changes of the [`Facts`] of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactChange {
    /// It was sent: these are the first.
    Sent(Facts),
    /// It was deleted for everyone.
    Deleted,
    /// Someone reacted, or took the reaction back.
    Reacted {
        /// Who.
        user: UserId,
        /// With what.
        emoji: Emoji,
        /// Whether the reaction is there now.
        is_there: bool,
    },
}

impl Facts {
    fn of(message: &Message) -> Self {
        Self {
            sender: message.sender.clone(),
            kind: message.kind,
            reply_to: message.reply_to,
            sent_at: message.sent_at,
            is_deleted: false,
            reactions: BTreeMap::new(),
        }
    }

    /// What is known of a message after a change. Of one that nothing is known of, only that it was sent
    /// says anything.
    pub fn apply(known: &mut Option<Self>, change: &FactChange) {
        match (known, change) {
            (known, FactChange::Sent(facts)) => *known = Some(facts.clone()),
            (Some(facts), FactChange::Deleted) => {
                facts.is_deleted = true;
                facts.reactions.clear();
            }
            (
                Some(facts),
                FactChange::Reacted {
                    user,
                    emoji,
                    is_there,
                },
            ) => {
                let reactions = facts.reactions.entry(user.clone()).or_default();
                if *is_there {
                    reactions.insert(emoji.clone());
                } else {
                    reactions.remove(emoji);
                }
            }
            (None, _) => {}
        }
    }

    fn has_reaction(&self, user: &UserId, emoji: &Emoji) -> bool {
        self.reactions.get(user).is_some_and(|of| of.contains(emoji))
    }
}

impl Command {
    /// The message whose [`Facts`] the decision needs.
    #[must_use]
    pub const fn message(&self) -> Option<Ordinal> {
        match self {
            Self::EditMessage { message, .. }
            | Self::DeleteMessage { message }
            | Self::ToggleReaction { message, .. }
            | Self::RemoveReaction { message, .. } => Some(*message),
            _ => None,
        }
    }
}

impl Event {
    /// What this changes of the facts of which message.
    #[must_use]
    pub fn fact_change(&self) -> Option<(Ordinal, FactChange)> {
        let reacted = |reaction: &Reaction, is_there| {
            let emoji = reaction.emoji.readable()?.clone();
            let user = reaction.user.clone();
            Some((
                reaction.message,
                FactChange::Reacted {
                    user,
                    emoji,
                    is_there,
                },
            ))
        };
        match self {
            Self::MessageSent(message) => Some((message.ordinal, FactChange::Sent(Facts::of(message)))),
            Self::MessageDeleted { message, .. } => Some((*message, FactChange::Deleted)),
            Self::ReactionAdded(reaction) => reacted(reaction, true),
            Self::ReactionRemoved(reaction) => reacted(reaction, false),
            _ => None,
        }
    }
}

/// The actor, and what is known of a message that was not deleted.
fn participant<'a>(
    state: &Conversation,
    message: Ordinal,
    context: &'a Context,
) -> Result<(UserId, &'a Facts), Error> {
    let actor = state.authorize(context, Permission::Participate)?;
    state.check_message(message)?;
    let facts = context.message.as_ref().ok_or(Error::NoSuchMessage(message))?;
    if facts.is_deleted {
        return Err(Error::Deleted);
    }
    Ok((actor, facts))
}

pub(super) fn send(
    state: &Conversation,
    kind: MessageKind,
    body: &Body,
    reply_to: Option<Ordinal>,
    context: &Context,
) -> Decided {
    let sender = state.authorize(context, Permission::Participate)?;
    reply_to.map_or(Ok(()), |answered| state.check_message(answered))?;
    body.check(kind)?;
    Ok(vec![Event::MessageSent(Message {
        ordinal: Ordinal::after(state.last_ordinal),
        sender,
        kind,
        body: Private::Readable(body.clone()),
        reply_to,
        sent_at: context.now,
        imported_line: None,
    })])
}

/// The same text again is an edit as well: whether it is the same is not known here.
pub(super) fn edit(
    state: &Conversation,
    message: Ordinal,
    content: &Content,
    within: Option<u64>,
    context: &Context,
) -> Decided {
    let (actor, facts) = participant(state, message, context)?;
    if facts.sender != actor {
        return Err(Error::NotTheAuthor);
    }
    if facts.kind != MessageKind::Text {
        return Err(Error::NotAText);
    }
    let age = context.now.as_millis().abs_diff(facts.sent_at.as_millis());
    if within.is_some_and(|within| age > within) {
        return Err(Error::EditWindowOver);
    }
    Ok(vec![Event::MessageEdited(Edit {
        message,
        sender: actor,
        reply_to: facts.reply_to,
        sent_at: facts.sent_at,
        content: Private::Readable(content.clone()),
    })])
}

pub(super) fn delete(state: &Conversation, message: Ordinal, context: &Context) -> Decided {
    let (by, facts) = match participant(state, message, context) {
        Err(Error::Deleted) => return Ok(Vec::new()),
        decided => decided?,
    };
    if facts.sender != by {
        if state.kind == Some(Kind::Direct) {
            return Err(Error::NotTheAuthor);
        }
        state.authorize(context, Permission::DeleteOthersMessages)?;
    }
    Ok(vec![Event::MessageDeleted { message, by }])
}

pub(super) fn toggle(state: &Conversation, message: Ordinal, emoji: &Emoji, context: &Context) -> Decided {
    let (user, facts) = participant(state, message, context)?;
    let is_there = facts.has_reaction(&user, emoji);
    let others = facts.reactions.get(&user).map_or(0, BTreeSet::len);
    if !is_there && others >= MAX_REACTIONS {
        return Err(Error::TooManyReactions);
    }
    let reaction = Reaction {
        message,
        user,
        emoji: Private::Readable(emoji.clone()),
    };
    Ok(vec![if is_there {
        Event::ReactionRemoved(reaction)
    } else {
        Event::ReactionAdded(reaction)
    }])
}

pub(super) fn unreact(state: &Conversation, message: Ordinal, emoji: &Emoji, context: &Context) -> Decided {
    let (user, facts) = participant(state, message, context)?;
    if !facts.has_reaction(&user, emoji) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ReactionRemoved(Reaction {
        message,
        user,
        emoji: Private::Readable(emoji.clone()),
    })])
}
