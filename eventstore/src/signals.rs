//! The port of signals: small notices between nodes that hasten what is certain without them.
//!
//! A signal may be lost, come twice, or come before what it speaks of can be read. Nothing rests on one:
//! memberships are also looked at from time to time, and how far the read model is can be asked of it.

use async_trait::async_trait;
use domain::{ConversationId, TenantId, UserId};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::broadcast;

use crate::log::Position;

/// Signals that wait for one listener before it misses some.
const WAITING: usize = 1_024;

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A user became a member of a conversation.
    Joined {
        /// The tenant of both.
        tenant: TenantId,
        /// Who.
        user: UserId,
        /// Of what.
        conversation: ConversationId,
        /// Where in the log that is.
        position: Position,
    },
    /// The read model has everything up to here.
    Projected(Position),
}

/// What can be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// [`Signal::Joined`], of all users: it is rare, and who is not online here is dropped quickly.
    Joined,
    /// [`Signal::Projected`], of all shards.
    Projected,
}

impl Signal {
    const fn topic(&self) -> Topic {
        match self {
            Self::Joined { .. } => Topic::Joined,
            Self::Projected(_) => Topic::Projected,
        }
    }
}

/// Signals cannot be listened to.
#[derive(Clone, Debug, thiserror::Error)]
#[error("signals are unavailable: {0}")]
pub struct SignalsUnavailable(pub String);

/// Carries signals to all nodes, this one included.
#[async_trait]
pub trait Signals: Send + Sync + 'static {
    /// Sends a signal, some time soon and perhaps never. Never waits. Of [`Signal::Projected`] only the
    /// newest of each shard may be sent.
    fn publish(&self, signal: Signal);

    /// The signals of these topics that are sent after this has returned. It goes on until it is dropped
    /// or everything stops.
    ///
    /// # Errors
    /// [`SignalsUnavailable`] when there is no connection.
    async fn subscribe(&self, topics: &[Topic]) -> Result<BoxStream<'static, Signal>, SignalsUnavailable>;
}

/// Signals within one process.
#[derive(Clone, Debug)]
pub struct InProcessSignals(broadcast::Sender<Signal>);

impl Default for InProcessSignals {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

#[async_trait]
impl Signals for InProcessSignals {
    fn publish(&self, signal: Signal) {
        // It is as well when nobody listens.
        let _ = self.0.send(signal);
    }

    async fn subscribe(&self, topics: &[Topic]) -> Result<BoxStream<'static, Signal>, SignalsUnavailable> {
        let (signals, topics) = (self.0.subscribe(), topics.to_vec());
        let wanted = futures::stream::unfold((signals, topics), |(mut signals, topics)| async move {
            loop {
                match signals.recv().await {
                    Ok(signal) if topics.contains(&signal.topic()) => {
                        return Some((signal, (signals, topics)));
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Ok(wanted.boxed())
    }
}
