//! A user: what a person is called, whether the person is let in, where the person is notified and what files the
//! person uploaded, and how the own conversations are kept. The last is nobody else's matter, so it contends with nobody, and no one else ever sees it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Context};
use crate::conversation::body::Upload;
use crate::push::{MAX_SUBSCRIPTIONS, PushTarget};
use crate::values::{Avatar, DisplayName};
use crate::{AttachmentId, ConversationId, MessageId, Private, PushId, Timestamp, UserId};

mod uploads;

pub use uploads::UploadFacts;

/// What is known of a user.
#[derive(Clone, Debug, Default)]
pub struct User {
    profile: Option<Private<Profile>>,
    /// What the identity provider said last: only what it says anew counts.
    claimed: Option<Private<Profile>>,
    status: Status,
    archived: BTreeSet<ConversationId>,
    /// Until when each is muted; `None` is for ever.
    muted: BTreeMap<ConversationId, Option<Timestamp>>,
    subscriptions: BTreeMap<PushId, Private<PushTarget>>,
}

/// What a person is called and looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name that others see.
    pub name: DisplayName,
    /// The picture that others see.
    pub avatar: Option<Avatar>,
}

/// What of a [`Profile`] is to be another: each field that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// Another name.
    pub name: Option<DisplayName>,
    /// Another picture, or none.
    pub avatar: Option<Option<Avatar>>,
}

/// Whether a user is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The user is let in.
    #[default]
    Active,
    /// The account is not in use.
    Inactive,
    /// The user is kept out.
    Blocked,
}

/// What someone wants of a user.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take on the profile that the identity provider tells, if that is news.
    UpdateProfile(Profile),
    /// Change what the user is called, or whether the user is let in.
    Change {
        /// The user, who need not be the one who asks.
        user: UserId,
        /// What of the profile.
        profile: ProfileChange,
        /// Which status.
        status: Option<Status>,
    },
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
    /// Be notified at a device.
    Subscribe(PushId, PushTarget),
    /// Not any more. The system may say so too: the push service knows when a device is gone.
    Unsubscribe(PushId),
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
    /// The user, or a backend, changed the profile: it is now this one, until the identity provider has news.
    ProfileChanged {
        /// Whose profile it is.
        user: UserId,
        /// The new profile.
        profile: Private<Profile>,
    },
    /// The user has another status.
    StatusChanged(Status),
    /// The user is notified at a device.
    PushSubscribed {
        /// Whose device it is.
        user: UserId,
        /// The subscription.
        subscription: PushId,
        /// Where and how.
        target: Private<PushTarget>,
    },
    /// Not any more.
    PushUnsubscribed(PushId),
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
    /// A profile without a name.
    #[error("a user who is not called anything yet needs a name")]
    Nameless,
    /// One more than there may be.
    #[error("a user has at most {MAX_SUBSCRIPTIONS} push subscriptions")]
    TooManySubscriptions,
}

impl Aggregate for User {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(state: &Self, command: &Command, context: &Context) -> Result<Vec<Event>, Error> {
        if let Command::Unsubscribe(id) = command {
            let is_known = state.subscriptions.contains_key(id);
            return Ok(is_known
                .then_some(Event::PushUnsubscribed(*id))
                .into_iter()
                .collect());
        }
        if let Command::RemoveAttachment(id) = command {
            return Ok(vec![Event::AttachmentRemoved(*id)]);
        }
        let user = context.actor.clone().ok_or(Error::NoActor)?;
        let event = match command {
            Command::UpdateProfile(profile) => {
                let is_known = state.claimed.as_ref().and_then(Private::readable) == Some(profile);
                (!is_known).then(|| Event::ProfileUpdated {
                    user,
                    profile: Private::Readable(profile.clone()),
                })
            }
            Command::Change {
                user,
                profile,
                status,
            } => return state.change(user, profile, *status),
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
            Command::Subscribe(id, target) => state.subscribe(user, *id, target)?,
            Command::Unsubscribe(_) => None,
            Command::Upload(upload) => Some(Event::AttachmentUploaded(UploadFacts::of(upload, user))),
            Command::RemoveAttachment(_) => None,
        };
        Ok(event.into_iter().collect())
    }

    fn evolve(state: &mut Self, event: &Event) {
        match event {
            Event::ProfileUpdated { profile, .. } => {
                state.profile = Some(profile.clone());
                state.claimed = Some(profile.clone());
            }
            Event::ProfileChanged { profile, .. } => state.profile = Some(profile.clone()),
            Event::StatusChanged(status) => state.status = *status,
            Event::Archived(conversation) => drop(state.archived.insert(*conversation)),
            Event::Unarchived(conversation) => drop(state.archived.remove(conversation)),
            Event::Muted { conversation, until } => drop(state.muted.insert(*conversation, *until)),
            Event::Unmuted(conversation) => drop(state.muted.remove(conversation)),
            Event::PushSubscribed {
                subscription, target, ..
            } => drop(state.subscriptions.insert(*subscription, target.clone())),
            Event::PushUnsubscribed(subscription) => drop(state.subscriptions.remove(subscription)),
            // They are many, and no rule asks for them.
            Event::Hidden(_) | Event::AttachmentUploaded(_) | Event::AttachmentRemoved(_) => {}
        }
    }
}

impl User {
    /// Whether the user is let in.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    fn change(
        &self,
        user: &UserId,
        change: &ProfileChange,
        status: Option<Status>,
    ) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        if *change != ProfileChange::default() {
            let known = self.profile.as_ref().and_then(Private::readable);
            let name = change.name.as_ref().or(known.map(|known| &known.name));
            let avatar = known.and_then(|known| known.avatar.clone());
            let profile = Profile {
                name: name.cloned().ok_or(Error::Nameless)?,
                avatar: change.avatar.clone().unwrap_or(avatar),
            };
            if known != Some(&profile) {
                events.push(Event::ProfileChanged {
                    user: user.clone(),
                    profile: Private::Readable(profile),
                });
            }
        }
        let status = status.filter(|status| *status != self.status);
        events.extend(status.map(Event::StatusChanged));
        Ok(events)
    }

    fn subscribe(&self, user: UserId, id: PushId, target: &PushTarget) -> Result<Option<Event>, Error> {
        let known = self.subscriptions.get(&id).and_then(Private::readable);
        if known == Some(target) {
            return Ok(None);
        }
        // Nobody can notify at one that is erased.
        let usable = self.subscriptions.values().filter_map(Private::readable);
        if known.is_none() && usable.count() >= MAX_SUBSCRIPTIONS {
            return Err(Error::TooManySubscriptions);
        }
        Ok(Some(Event::PushSubscribed {
            user,
            subscription: id,
            target: Private::Readable(target.clone()),
        }))
    }
}

#[cfg(test)]
mod tests;
