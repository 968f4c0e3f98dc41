//! What a record holds: a commit and its events, decoded.
//!
//! The envelope maps one to one on CloudEvents 1.0: `id` is [`Recorded::id`], `source` and `subject`
//! come from the stream, `type` from the event, `time` is [`Commit::time`], and the extensions are
//! `version`, `actor`, `commandid`, `causationid`, `correlationid` and `traceparent`.

use domain::conversation::messages::FactChange;
use domain::conversation::{self, reads};
use domain::{Aggregate, CommandId, CommitId, EventId, Fingerprint, Ordinal, Timestamp, UserId, user};

use crate::subject::Stream;

/// A commit as it was read from the log.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The commit's id.
    pub id: CommitId,
    /// The shard it is in.
    pub shard: u16,
    /// Its sequence there.
    pub sequence: u64,
    /// The stream it belongs to.
    pub stream: Stream,
    /// When it was recorded; never decreasing within a stream.
    pub time: Timestamp,
    /// Its events; none in a part of a larger commit (see [`crate::codec::parts`]).
    pub events: Vec<Recorded>,
}

/// An event with its envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The event's id: the commit's id plus the event's index in the commit.
    pub id: EventId,
    /// The event's number in its stream, from 1; 0 in the lane of read marks, which has none.
    pub version: u64,
    /// On whose behalf it happened; `None` is the system itself.
    pub actor: Option<UserId>,
    /// The client's command it came from, when the client named it.
    pub command: Option<CommandTag>,
    /// Where it came from.
    pub trace: Trace,
    /// What happened.
    pub event: Event,
}

/// A command that its client named, so that a repeat is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandTag {
    /// Derived from tenant, user, operation, target and the client's own id.
    pub id: CommandId,
    /// What was asked for.
    pub fingerprint: Fingerprint,
}

/// Where an event came from, for those who follow a request through the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The event that caused this one.
    pub causation_id: Option<EventId>,
    /// The request it belongs to.
    pub correlation_id: Option<String>,
    /// The W3C trace context.
    pub traceparent: Option<String>,
}

/// What happened, in any stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// In a conversation.
    Conversation(conversation::Event),
    /// To a member's read mark.
    Read(reads::Event),
    /// To a user.
    User(user::Event),
}

impl Event {
    /// What this changes of what the rules need to know of which message.
    #[must_use]
    pub fn fact_change(&self) -> Option<(Ordinal, FactChange)> {
        match self {
            Self::Conversation(event) => event.fact_change(),
            Self::Read(_) | Self::User(_) => None,
        }
    }
}

/// An aggregate whose events are kept in the log.
pub trait Logged: Aggregate {
    /// The version of the state's shape, when snapshots of it are kept. Changed whenever the shape is:
    /// a snapshot of another version is discarded.
    const SNAPSHOT: Option<&'static str>;

    /// The state as it is kept in a snapshot; `None` when none is kept.
    fn snapshot(state: &Self::State) -> Option<String>;

    /// The state out of a snapshot; `None` when it does not have this version's shape.
    fn restore(snapshot: &str) -> Option<Self::State>;

    /// The event as it goes to the log.
    fn wrap(event: Self::Event) -> Event;

    /// The event out of the log; `None` when it is not one of this aggregate.
    fn unwrap(event: &Event) -> Option<&Self::Event>;

    /// The message whose facts a decision on the command needs.
    fn message(_: &Self::Command) -> Option<Ordinal> {
        None
    }
}

impl Logged for conversation::Conversation {
    const SNAPSHOT: Option<&'static str> = Some("conversation.1");

    fn snapshot(state: &Self) -> Option<String> {
        serde_json::to_string(state).ok()
    }

    fn restore(snapshot: &str) -> Option<Self> {
        serde_json::from_str(snapshot).ok()
    }

    fn wrap(event: Self::Event) -> Event {
        Event::Conversation(event)
    }

    fn unwrap(event: &Event) -> Option<&Self::Event> {
        if let Event::Conversation(event) = event {
            Some(event)
        } else {
            None
        }
    }

    fn message(command: &Self::Command) -> Option<Ordinal> {
        command.message()
    }
}

impl Logged for user::User {
    // A user's stream is short, and its state holds what the user wrote: that stays under the key.
    const SNAPSHOT: Option<&'static str> = None;

    fn snapshot(_: &Self) -> Option<String> {
        None
    }

    fn restore(_: &str) -> Option<Self> {
        None
    }

    fn wrap(event: Self::Event) -> Event {
        Event::User(event)
    }

    fn unwrap(event: &Event) -> Option<&Self::Event> {
        if let Event::User(event) = event {
            Some(event)
        } else {
            None
        }
    }
}
