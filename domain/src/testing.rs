//! Given these events, when this command, then those events: the shape of every test of a rule.

use std::fmt::Debug;

use crate::conversation::Facts;
use crate::{Aggregate, Context, Timestamp, UserId};

/// A user with this id.
///
/// # Panics
/// If the text is not a user id.
#[must_use]
pub fn user(id: &str) -> UserId {
    match UserId::parse(id) {
        Ok(id) => id,
        Err(error) => panic!("{error}"),
    }
}

/// A state folded from the events.
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::State::default();
    events.into_iter().for_each(|event| A::evolve(&mut state, &event));
    Given { state, message: None }
}

/// The state before a command.
pub struct Given<A: Aggregate> {
    state: A::State,
    message: Option<Facts>,
}

impl<A: Aggregate> Given<A> {
    /// What is known of the message that the command is about.
    #[must_use]
    pub fn knowing(self, message: Facts) -> Self {
        Self {
            message: Some(message),
            ..self
        }
    }

    /// The user sends the command.
    #[must_use]
    pub fn when(self, actor: &str, command: A::Command) -> When<A> {
        self.decide(Some(user(actor)), &command)
    }

    /// The system itself sends the command.
    #[must_use]
    pub fn when_system(self, command: A::Command) -> When<A> {
        self.decide(None, &command)
    }

    fn decide(self, actor: Option<UserId>, command: &A::Command) -> When<A> {
        let context = Context {
            actor,
            now: Timestamp::from_millis(1_000),
            message: self.message,
        };
        When {
            outcome: A::decide(&self.state, command, &context),
        }
    }
}

/// The outcome of a command.
pub struct When<A: Aggregate> {
    outcome: Result<Vec<A::Event>, A::Error>,
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug,
{
    /// Exactly these events follow.
    ///
    /// # Panics
    /// If others follow, or the command is refused.
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) {
        assert_eq!(self.outcome, Ok(events.into_iter().collect::<Vec<_>>()));
    }

    /// The command is refused for exactly this reason.
    ///
    /// # Panics
    /// If it is not refused, or for another reason.
    pub fn then_refused(self, error: A::Error) {
        assert_eq!(self.outcome, Err(error));
    }
}
