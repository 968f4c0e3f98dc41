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
mod tests {
    use super::*;
    use crate::push::{PushEndpoint, PushPoint, PushSecret};
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

    fn change(name: Option<&str>, avatar: Option<Option<&str>>, status: Option<Status>) -> Command {
        let avatar = avatar.map(|avatar| avatar.map(|url| Avatar::parse(url).unwrap()));
        Command::Change {
            user: user("ann"),
            profile: ProfileChange {
                name: name.map(|name| DisplayName::parse(name).unwrap()),
                avatar,
            },
            status,
        }
    }

    fn changed(name: &str, avatar: Option<&str>) -> Event {
        Event::ProfileChanged {
            user: user("ann"),
            profile: Private::Readable(Profile {
                avatar: avatar.map(|url| Avatar::parse(url).unwrap()),
                ..profile(name)
            }),
        }
    }

    #[test]
    fn what_a_user_changed_stays_until_the_identity_provider_has_news() {
        let told = updated(Private::Readable(profile("Ann")));
        let picture = "https://example.org/a.png";
        given::<User>([told.clone()])
            .when("ann", change(None, Some(Some(picture)), None))
            .then([changed("Ann", Some(picture))]);
        given::<User>([told.clone(), changed("Annie", Some(picture))])
            .when("ann", change(None, Some(None), None))
            .then([changed("Annie", None)]);
        given::<User>([told.clone(), changed("Annie", None)])
            .when("ann", Command::UpdateProfile(profile("Ann")))
            .then([]);
        given::<User>([told, changed("Annie", None)])
            .when("ann", Command::UpdateProfile(profile("Anna")))
            .then([updated(Private::Readable(profile("Anna")))]);
    }

    #[test]
    fn who_is_not_called_anything_needs_a_name() {
        given::<User>([])
            .when("ann", change(None, Some(None), None))
            .then_refused(Error::Nameless);
        given::<User>([updated(Private::Erased)])
            .when("ann", change(None, Some(None), Some(Status::Blocked)))
            .then_refused(Error::Nameless);
        given::<User>([])
            .when("ann", change(Some("Ann"), None, None))
            .then([changed("Ann", None)]);
    }

    #[test]
    fn a_status_is_changed_by_another_one() {
        let blocked = Event::StatusChanged(Status::Blocked);
        given::<User>([])
            .when("backend", change(None, None, Some(Status::Active)))
            .then([]);
        given::<User>([])
            .when("backend", change(Some("Ann"), None, Some(Status::Blocked)))
            .then([changed("Ann", None), blocked.clone()]);
        given::<User>([blocked])
            .when("backend", change(None, None, Some(Status::Active)))
            .then([Event::StatusChanged(Status::Active)]);
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

    fn target(key: char) -> PushTarget {
        PushTarget {
            endpoint: PushEndpoint::parse("https://push.example.com/1").unwrap(),
            p256dh: PushPoint::parse(format!("B{}", String::from(key).repeat(86))).unwrap(),
            auth: PushSecret::parse("a".repeat(22)).unwrap(),
        }
    }

    fn subscription(number: u8) -> PushId {
        PushId::from_bytes([number; 16])
    }

    fn subscribed(number: u8, target: Private<PushTarget>) -> Event {
        Event::PushSubscribed {
            user: user("ann"),
            subscription: subscription(number),
            target,
        }
    }

    #[test]
    fn a_device_is_subscribed_once_and_anew_with_new_keys() {
        let (one, other) = (target('a'), target('b'));
        let known = subscribed(1, Private::Readable(one.clone()));
        given::<User>([])
            .when("ann", Command::Subscribe(subscription(1), one.clone()))
            .then([known.clone()]);
        given::<User>([known.clone()])
            .when("ann", Command::Subscribe(subscription(1), one.clone()))
            .then([]);
        given::<User>([known.clone()])
            .when("ann", Command::Subscribe(subscription(1), other.clone()))
            .then([subscribed(1, Private::Readable(other))]);
        given::<User>([])
            .when_system(Command::Subscribe(subscription(1), one))
            .then_refused(Error::NoActor);
    }

    #[test]
    fn a_subscription_ends_once_whoever_says_so() {
        let known = subscribed(1, Private::Readable(target('a')));
        let ended = Event::PushUnsubscribed(subscription(1));
        given::<User>([known.clone()])
            .when_system(Command::Unsubscribe(subscription(1)))
            .then([ended.clone()]);
        given::<User>([known, ended])
            .when("ann", Command::Unsubscribe(subscription(1)))
            .then([]);
    }

    #[test]
    fn subscriptions_are_few_and_erased_ones_do_not_count() {
        let all =
            |target: fn() -> Private<PushTarget>| (1..=20).map(move |number| subscribed(number, target()));
        let more = || Command::Subscribe(subscription(21), target('a'));
        given::<User>(all(|| Private::Readable(target('a'))))
            .when("ann", more())
            .then_refused(Error::TooManySubscriptions);
        given::<User>(all(|| Private::Readable(target('a'))))
            .when("ann", Command::Subscribe(subscription(20), target('b')))
            .then([subscribed(20, Private::Readable(target('b')))]);
        given::<User>(all(|| Private::Erased))
            .when("ann", more())
            .then([subscribed(21, Private::Readable(target('a')))]);
    }

    #[test]
    fn nobody_changes_a_profile_without_being_someone() {
        given::<User>([])
            .when_system(Command::UpdateProfile(profile("Ann")))
            .then_refused(Error::NoActor);
    }
}
