//! A user: what the identity provider says a person is called, and how the user keeps the own conversations.
//! The latter is nobody else's matter, so it contends with nobody, and no one else ever sees it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Context};
use crate::conversation::body::Upload;
use crate::values::{Avatar, DisplayName};
use crate::{AttachmentId, ConversationId, MessageId, Private, Timestamp, UserId};

mod uploads;

pub use uploads::UploadFacts;

/// What is known of a user.
#[derive(Clone, Debug, Default)]
pub struct User {
    profile: Option<Private<Profile>>,
    archived: BTreeSet<ConversationId>,
    /// Until when each is muted; `None` is for ever.
    muted: BTreeMap<ConversationId, Option<Timestamp>>,
}

/// What a person is called and looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name that others see.
    pub name: DisplayName,
    /// The picture that others see.
    pub avatar: Option<Avatar>,
}

/// What someone wants of a user.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take on this profile.
    UpdateProfile(Profile),
    /// Put a conversation away until something new is said there.
    Archive(ConversationId),
    /// Bring it back.
    Unarchive(ConversationId),
    /// Do not be notified of a conversation.
    Mute {
        /// Which.
        conversation: ConversationId,
        /// Until when; `None` is for ever.
        until: Option<Timestamp>,
        /// Whether something was said since it was put away: then it is not put away any more, and the mute
        /// keeps nothing there.
        came_back: bool,
    },
    /// Be notified again.
    Unmute(ConversationId),
    /// Do not see a message any more.
    Hide(MessageId),
    /// Keep a file that was uploaded.
    Upload(Upload),
    /// Keep it no longer. The system itself may ask for it, too.
    RemoveAttachment(AttachmentId),
}

/// What happened to a user.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The profile is now this one.
    ProfileUpdated {
        /// Whose profile it is.
        user: UserId,
        /// The new profile.
        profile: Private<Profile>,
    },
    /// A conversation was put away. It comes back with the next message, unless it is muted.
    Archived(ConversationId),
    /// It was brought back.
    Unarchived(ConversationId),
    /// A conversation was muted.
    Muted {
        /// Which.
        conversation: ConversationId,
        /// Until when; `None` is for ever.
        until: Option<Timestamp>,
    },
    /// It is not muted any more.
    Unmuted(ConversationId),
    /// A message is not shown to the user any more.
    Hidden(MessageId),
    /// A file was uploaded.
    AttachmentUploaded(UploadFacts),
    /// It is not kept any more.
    AttachmentRemoved(AttachmentId),
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// What is a user's own is changed by that user alone.
    #[error("this is changed by the user alone")]
    NoActor,
    /// A time that is over already.
    #[error("a conversation is muted until a time that is still to come")]
    MutedUntilThePast,
}

impl Aggregate for User {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(state: &Self, command: &Command, context: &Context) -> Result<Vec<Event>, Error> {
        if let Command::RemoveAttachment(id) = command {
            return Ok(vec![Event::AttachmentRemoved(*id)]);
        }
        let user = context.actor.clone().ok_or(Error::NoActor)?;
        let event = match command {
            Command::UpdateProfile(profile) => {
                let is_known = state.profile.as_ref().and_then(Private::readable) == Some(profile);
                (!is_known).then(|| Event::ProfileUpdated {
                    user,
                    profile: Private::Readable(profile.clone()),
                })
            }
            // Once more counts: it may have come back in the meantime.
            Command::Archive(conversation) => Some(Event::Archived(*conversation)),
            Command::Unarchive(conversation) => state
                .archived
                .contains(conversation)
                .then_some(Event::Unarchived(*conversation)),
            Command::Mute {
                conversation,
                until,
                came_back,
            } => {
                if until.is_some_and(|until| until <= context.now) {
                    return Err(Error::MutedUntilThePast);
                }
                let is_known = state.muted.get(conversation) == Some(until);
                let muted = (!is_known).then_some(Event::Muted {
                    conversation: *conversation,
                    until: *until,
                });
                let is_archived = state.archived.contains(conversation);
                let back = (*came_back && is_archived).then_some(Event::Unarchived(*conversation));
                return Ok(back.into_iter().chain(muted).collect());
            }
            Command::Unmute(conversation) => state
                .muted
                .contains_key(conversation)
                .then_some(Event::Unmuted(*conversation)),
            Command::Hide(message) => Some(Event::Hidden(*message)),
            Command::Upload(upload) => Some(Event::AttachmentUploaded(UploadFacts::of(upload, user))),
            Command::RemoveAttachment(_) => None,
        };
        Ok(event.into_iter().collect())
    }

    fn evolve(state: &mut Self, event: &Event) {
        match event {
            Event::ProfileUpdated { profile, .. } => state.profile = Some(profile.clone()),
            Event::Archived(conversation) => drop(state.archived.insert(*conversation)),
            Event::Unarchived(conversation) => drop(state.archived.remove(conversation)),
            Event::Muted { conversation, until } => drop(state.muted.insert(*conversation, *until)),
            Event::Unmuted(conversation) => drop(state.muted.remove(conversation)),
            // They are many, and no rule asks for them.
            Event::Hidden(_) | Event::AttachmentUploaded(_) | Event::AttachmentRemoved(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{given, user};

    fn profile(name: &str) -> Profile {
        Profile {
            name: DisplayName::parse(name).unwrap(),
            avatar: None,
        }
    }

    fn updated(profile: Private<Profile>) -> Event {
        Event::ProfileUpdated {
            user: user("ann"),
            profile,
        }
    }

    #[test]
    fn a_new_profile_is_recorded() {
        given::<User>([])
            .when("ann", Command::UpdateProfile(profile("Ann")))
            .then([updated(Private::Readable(profile("Ann")))]);
    }

    #[test]
    fn the_same_profile_again_changes_nothing() {
        given::<User>([updated(Private::Readable(profile("Ann")))])
            .when("ann", Command::UpdateProfile(profile("Ann")))
            .then([]);
    }

    #[test]
    fn an_erased_profile_is_recorded_anew() {
        given::<User>([updated(Private::Erased)])
            .when("ann", Command::UpdateProfile(profile("Ann")))
            .then([updated(Private::Readable(profile("Ann")))]);
    }

    fn conversation() -> ConversationId {
        ConversationId::from_bytes([7; 16])
    }

    fn muted(until: Option<i64>) -> Event {
        Event::Muted {
            conversation: conversation(),
            until: until.map(Timestamp::from_millis),
        }
    }

    fn mute(until: Option<i64>) -> Command {
        Command::Mute {
            conversation: conversation(),
            until: until.map(Timestamp::from_millis),
            came_back: false,
        }
    }

    #[test]
    fn what_came_back_is_not_put_away_by_muting_it() {
        let came_back = Command::Mute {
            conversation: conversation(),
            until: None,
            came_back: true,
        };
        given::<User>([Event::Archived(conversation())])
            .when("ann", came_back.clone())
            .then([Event::Unarchived(conversation()), muted(None)]);
        given::<User>([]).when("ann", came_back).then([muted(None)]);
        given::<User>([Event::Archived(conversation())])
            .when("ann", mute(None))
            .then([muted(None)]);
    }

    #[test]
    fn archiving_counts_each_time_and_bringing_back_once() {
        let (archived, unarchived) = (Event::Archived(conversation()), Event::Unarchived(conversation()));
        given::<User>([archived.clone()])
            .when("ann", Command::Archive(conversation()))
            .then([archived.clone()]);
        given::<User>([archived.clone()])
            .when("ann", Command::Unarchive(conversation()))
            .then([unarchived.clone()]);
        given::<User>([archived, unarchived])
            .when("ann", Command::Unarchive(conversation()))
            .then([]);
    }

    #[test]
    fn muting_is_for_ever_or_until_a_time_to_come() {
        given::<User>([]).when("ann", mute(None)).then([muted(None)]);
        given::<User>([])
            .when("ann", mute(Some(1_001)))
            .then([muted(Some(1_001))]);
        given::<User>([])
            .when("ann", mute(Some(1_000)))
            .then_refused(Error::MutedUntilThePast);
        given::<User>([muted(None)]).when("ann", mute(None)).then([]);
        given::<User>([muted(None)])
            .when("ann", mute(Some(2_000)))
            .then([muted(Some(2_000))]);
        given::<User>([muted(None)])
            .when("ann", Command::Unmute(conversation()))
            .then([Event::Unmuted(conversation())]);
        given::<User>([])
            .when("ann", Command::Unmute(conversation()))
            .then([]);
    }

    #[test]
    fn nobody_changes_a_profile_without_being_someone() {
        given::<User>([])
            .when_system(Command::UpdateProfile(profile("Ann")))
            .then_refused(Error::NoActor);
    }
}
