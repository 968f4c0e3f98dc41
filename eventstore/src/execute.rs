//! Commands to commits: an actor per stream decides queued commands in order and keeps one append in
//! flight.
//!
//! While an append is out, further commands queue and become the next commit. Optimistic concurrency is
//! the safety between nodes: after a conflict the tail is folded and everything that was not yet
//! acknowledged is decided again. A refusal or a no-op rests on state, so it is answered only when the
//! head of the stream was confirmed at the log after the command had arrived.
//!
//! In reading order: `registry` holds the running actors, `actor` is one of them, `folded` its state,
//! `known` the named commands it remembers and `changes` what became of messages, `patience` how it asks the database, `plan` the decisions of a turn, `turns` how the actors of
//! several nodes share a stream, `lane` is beside them all: the read marks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::conversation::Conversation;
use domain::{Timestamp, UserId};
use rand::RngExt;
use tokio::sync::oneshot;

use crate::codec::Codec;
use crate::envelope::{CommandTag, Logged, Trace};
use crate::facts::FactStore;
use crate::log::{EventLog, Position};
use crate::progress::Progress;
use crate::snapshot::SnapshotStore;
use crate::subject::Stream;

mod actor;
mod changes;
mod folded;
mod known;
mod lane;
mod patience;
mod plan;
mod registry;
mod silence;
mod turns;

#[cfg(test)]
mod tests;

pub use lane::{Marked, ReadMarks};
use patience::Stores;
use registry::Registry;
use silence::Silence;

/// How long a command is waited for before its outcome is given up as unknown.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause before something is tried again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What the executor stands on.
#[derive(Clone)]
pub struct Ports {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Writes and reads commits.
    pub codec: Codec,
    /// Which named commands were carried out.
    pub facts: Arc<dyn FactStore>,
    /// Folded states.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// How far the read model has come.
    pub projected: Progress,
    /// Records that the read model may be behind before commands wait for it.
    pub max_lag: u64,
    /// What time it is.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// A command on its way.
#[derive(Clone, Debug)]
pub struct Request<C> {
    /// What is wanted.
    pub command: C,
    /// By whom; `None` is the system itself.
    pub actor: Option<UserId>,
    /// What the client calls it.
    pub tag: Option<CommandTag>,
    /// Where it comes from.
    pub trace: Trace,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<E> {
    /// It was carried out, and its events are durable.
    Appended {
        /// Where they are.
        position: Position,
        /// When they were recorded.
        time: Timestamp,
        /// What happened.
        events: Vec<E>,
    },
    /// There was nothing to do.
    Unchanged {
        /// The head of the stream that this was decided on.
        position: Position,
    },
    /// The same command was carried out before.
    Repeated {
        /// Where its events are.
        position: Position,
    },
}

impl<E> Outcome<E> {
    /// The position that a reader must have reached to see what the command brought about.
    pub const fn position(&self) -> Position {
        match self {
            Self::Appended { position, .. } | Self::Unchanged { position } | Self::Repeated { position } => {
                *position
            }
        }
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExecuteError<E> {
    /// A rule refused it.
    #[error(transparent)]
    Refused(E),
    /// A command with the same client id and another payload was carried out before.
    #[error("the client id was used for another command")]
    AnotherPayload,
    /// Its events are larger than a commit may be.
    #[error("the command is larger than a commit may be")]
    TooLarge,
    /// Too much is waiting already.
    #[error("too many commands are waiting")]
    Overloaded,
    /// The log or the read model is away. When the log was lost in the middle, the outcome is unknown:
    /// repeat the command with the same client id.
    #[error("the command could not be carried out: {0}")]
    Unavailable(String),
    /// The log has not answered others for a while. The command was not begun.
    #[error("the command was not begun: the log does not answer")]
    LogAway,
    /// The keys are away. Nothing was recorded.
    #[error("the command could not be carried out: {0}")]
    KeysAway(String),
    /// The stream holds an event that this version cannot decode.
    #[error("the stream cannot be decoded: {0}")]
    Undecodable(String),
}

type Reply<T, A> = oneshot::Sender<Result<T, ExecuteError<<A as domain::Aggregate>::Error>>>;

enum Ask<A: Logged> {
    Execute {
        request: Box<Request<A::Command>>,
        reply: Reply<Outcome<A::Event>, A>,
    },
    /// The state at a head that was confirmed at the log after the question had arrived.
    Confirm { reply: Reply<Confirmed<A::State>, A> },
}

/// A state that was true after the question for it had arrived.
#[derive(Clone, Debug)]
pub struct Confirmed<S> {
    /// The folded state.
    pub state: S,
    /// The head of the stream.
    pub position: Position,
    /// When its newest event was recorded.
    pub time: Timestamp,
}

/// The newest sequence of each shard that this node has met. The shard's end is there or further.
#[derive(Clone)]
struct Met(Arc<[AtomicU64]>);

impl Met {
    fn new(shards: u16) -> Self {
        Self((0..shards).map(|_| AtomicU64::new(0)).collect())
    }

    fn raise(&self, shard: u16, sequence: u64) {
        if let Some(met) = self.0.get(usize::from(shard)) {
            met.fetch_max(sequence, Ordering::Relaxed);
        }
    }

    fn get(&self, shard: u16) -> u64 {
        self.0
            .get(usize::from(shard))
            .map_or(0, |met| met.load(Ordering::Relaxed))
    }
}

/// What the actors of one executor know together.
#[derive(Clone)]
struct Shared {
    met: Met,
    stores: Stores,
    /// Appends that met another node's.
    conflicts: Arc<AtomicU64>,
    silence: Silence,
}

/// Waits about this long, and returns twice as long for the next time.
async fn rest(pause: Duration) -> Duration {
    let jitter = rand::rng().random_range(0.5..1.5);
    tokio::time::sleep(pause.mul_f64(jitter)).await;
    (pause * 2).min(LONGEST_PAUSE)
}

/// Carries out the commands of one kind of aggregate.
pub struct Executor<A: Logged> {
    ports: Ports,
    shared: Shared,
    actors: Registry<Ask<A>>,
}

impl<A: Logged> Executor<A> {
    /// An executor on these ports. Clones of it share its actors through the `Arc`.
    #[must_use]
    pub fn new(ports: Ports) -> Arc<Self> {
        let shared = Shared {
            met: Met::new(ports.log.shards()),
            stores: Stores::new(Arc::clone(&ports.facts), Arc::clone(&ports.snapshots)),
            conflicts: Arc::default(),
            silence: Silence::new(ports.log.shards()),
        };
        Arc::new(Self {
            ports,
            shared,
            actors: Registry::default(),
        })
    }

    /// How many appends came to a stream that had moved on, and were decided again.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.shared.conflicts.load(Ordering::Relaxed)
    }

    /// What the executor stands on.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Carries out a command. When it returns an outcome, that is durable.
    ///
    /// # Errors
    /// [`ExecuteError`]; after [`ExecuteError::Unavailable`] the command may still take effect.
    pub async fn execute(
        &self,
        stream: &Stream,
        request: Request<A::Command>,
    ) -> Result<Outcome<A::Event>, ExecuteError<A::Error>> {
        self.ask(stream, |reply| Ask::Execute {
            request: Box::new(request),
            reply,
        })
        .await
    }

    /// The state of a stream, true after the call began.
    ///
    /// # Errors
    /// [`ExecuteError`] when it cannot be had.
    pub async fn confirmed(&self, stream: &Stream) -> Result<Confirmed<A::State>, ExecuteError<A::Error>> {
        self.ask(stream, |reply| Ask::Confirm { reply }).await
    }

    async fn ask<T>(
        &self,
        stream: &Stream,
        ask: impl FnOnce(Reply<T, A>) -> Ask<A>,
    ) -> Result<T, ExecuteError<A::Error>> {
        if self.shared.silence.refuses(self.ports.log.shard_of(stream)) {
            return Err(ExecuteError::LogAway);
        }
        let (reply, answer) = oneshot::channel();
        self.actors
            .send(stream, ask(reply), |queue| {
                let (ports, shared) = (self.ports.clone(), self.shared.clone());
                tokio::spawn(actor::Actor::new(ports, shared, stream.clone(), queue).run());
            })
            .map_err(|registry::Full| ExecuteError::Overloaded)?;
        let gone = |what: &str| ExecuteError::Unavailable(what.to_owned());
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone("the node is stopping")),
            Err(_) => Err(gone("the log did not answer in time")),
        }
    }
}

/// The executor of conversations.
pub type Conversations = Executor<Conversation>;
