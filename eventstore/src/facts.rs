//! What the read model knows that a decision needs: which named commands were already carried out, and what
//! has become of single messages.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use domain::conversation;
use domain::{CommandId, Fingerprint, Ordinal, UserId};

use crate::subject::Stream;

/// A named command that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandFact {
    /// What it asked for.
    pub fingerprint: Fingerprint,
    /// The sequence of the commit that holds its events.
    pub sequence: u64,
}

/// An answer of a [`FactStore`], out of one snapshot of the database.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The checkpoint of the stream's shard in that snapshot: facts above it are not known here.
    pub checkpoint: u64,
    /// Those of the asked-for commands that were carried out at or below the checkpoint.
    pub commands: HashMap<CommandId, CommandFact>,
}

/// The ids of all commands of a stream, out of one snapshot of the database.
#[derive(Clone, Debug, Default)]
pub struct CommandIds {
    /// The checkpoint of the stream's shard in that snapshot.
    pub checkpoint: u64,
    /// Those carried out at or below the checkpoint and not forgotten yet; `None` when they are more than
    /// were asked for.
    pub ids: Option<Vec<CommandId>>,
}

/// Messages of a stream, out of one snapshot of the database.
#[derive(Clone, Debug, Default)]
pub struct MessageFacts {
    /// The checkpoint of the stream's shard in that snapshot: what happened above it is not in here.
    pub checkpoint: u64,
    /// Those of the asked-for messages that were sent at or below the checkpoint.
    pub messages: BTreeMap<Ordinal, conversation::Facts>,
}

/// A message, and the user whose reactions to it are wanted.
pub type Asked = (Ordinal, Option<UserId>);

/// The facts are away.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the read model is unavailable: {0}")]
pub struct FactsUnavailable(pub String);

/// Keeps the facts of carried-out commands, for at least 24 hours each, and those of messages for ever.
#[async_trait]
pub trait FactStore: Send + Sync + 'static {
    /// Looks up commands of one stream. Checkpoint and rows come from one snapshot of the primary.
    ///
    /// # Errors
    /// [`FactsUnavailable`] when the database is away.
    async fn facts(
        &self,
        shard: u16,
        stream: &Stream,
        commands: &[CommandId],
    ) -> Result<Facts, FactsUnavailable>;

    /// The ids of all commands of one stream, if they are not more than this.
    ///
    /// # Errors
    /// [`FactsUnavailable`] when the database is away.
    async fn command_ids(
        &self,
        shard: u16,
        stream: &Stream,
        at_most: u32,
    ) -> Result<CommandIds, FactsUnavailable>;

    /// Looks up messages of one stream. Checkpoint and rows come from one snapshot of the primary.
    ///
    /// # Errors
    /// [`FactsUnavailable`] when the database is away.
    async fn message_facts(
        &self,
        shard: u16,
        stream: &Stream,
        asked: &[Asked],
    ) -> Result<MessageFacts, FactsUnavailable>;
}
