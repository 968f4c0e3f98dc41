//! The shape of an aggregate: a state folded from events, and a decision from a command to new events.

use std::fmt::Debug;

use crate::conversation::Facts;
use crate::{Timestamp, UserId};

/// What a decision may know beside the state: who asks, when, and about what.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The user on whose behalf the command runs; `None` is the system itself (an import).
    pub actor: Option<UserId>,
    /// When the command is decided. Never decreasing within a stream.
    pub now: Timestamp,
    /// What is known of the message that the command is about; `None` when there is no such message, and for
    /// a command that is about none.
    pub message: Option<Facts>,
}

/// One aggregate: `decide` holds every rule, `evolve` holds none and cannot fail.
pub trait Aggregate: Send + Sync + 'static {
    /// What the rules need to know, folded from the stream. Cheap to clone.
    type State: Clone + Debug + Default + Send + Sync + 'static;
    /// What someone wants, imperative.
    type Command: Clone + Debug + Send + Sync + 'static;
    /// What happened, past tense.
    type Event: Clone + Debug + PartialEq + Send + Sync + 'static;
    /// Why a command was refused.
    type Error: std::error::Error + Clone + PartialEq + Send + Sync + 'static;

    /// Decides one command. An empty list means that the wish is already fulfilled (a no-op).
    ///
    /// # Errors
    /// The rule that refuses the command.
    fn decide(
        state: &Self::State,
        command: &Self::Command,
        context: &Context,
    ) -> Result<Vec<Self::Event>, Self::Error>;

    /// Folds one event into the state. Total: an event is a fact and is never refused.
    fn evolve(state: &mut Self::State, event: &Self::Event);
}
