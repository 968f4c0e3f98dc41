//! A user's profile: what the identity provider says a person is called.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Context};
use crate::values::{Avatar, DisplayName};
use crate::{Private, UserId};

/// What is known of a user.
#[derive(Clone, Debug, Default)]
pub struct User {
    profile: Option<Private<Profile>>,
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
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A profile is changed by its user alone.
    #[error("a profile is changed by its user alone")]
    NoActor,
}

impl Aggregate for User {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(state: &Self, command: &Command, context: &Context) -> Result<Vec<Event>, Error> {
        let Command::UpdateProfile(profile) = command;
        let user = context.actor.clone().ok_or(Error::NoActor)?;
        if state.profile.as_ref().and_then(Private::readable) == Some(profile) {
            return Ok(Vec::new());
        }
        Ok(vec![Event::ProfileUpdated {
            user,
            profile: Private::Readable(profile.clone()),
        }])
    }

    fn evolve(state: &mut Self, event: &Event) {
        let Event::ProfileUpdated { profile, .. } = event;
        state.profile = Some(profile.clone());
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

    #[test]
    fn nobody_changes_a_profile_without_being_someone() {
        given::<User>([])
            .when_system(Command::UpdateProfile(profile("Ann")))
            .then_refused(Error::NoActor);
    }
}
