//! The lane of read marks: beside a conversation's stream, without expectations, coalesced across
//! members.

use std::sync::Arc;

use domain::conversation::{Error, reads};
use domain::{CommitId, Timestamp, UserId};
use tokio::sync::oneshot;
use ulid::Ulid;

use super::actor::rest;
use super::registry::{self, Queue, Registry};
use super::{Conversations, ExecuteError, PATIENCE, Ports};
use crate::codec::{Draft, assemble};
use crate::envelope::{Event, Trace};
use crate::log::{Append, AppendError, Expected, Position};
use crate::subject::Stream;

/// Marks that become one commit: as many as are surely under the cap of a record.
const MARKS_PER_COMMIT: usize = 400;
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(2);

/// What became of a read mark.
#[derive(Clone, Debug, PartialEq)]
pub struct Marked {
    /// Where it is in the log; the head of the conversation when there was nothing to read.
    pub position: Position,
    /// What was decided; `None` when there was nothing to read.
    pub event: Option<reads::Event>,
}

type Reply = oneshot::Sender<Result<Position, ExecuteError<Error>>>;

struct Mark {
    event: reads::Event,
    trace: Trace,
    reply: Reply,
}

/// Carries out read commands.
pub struct ReadMarks {
    conversations: Arc<Conversations>,
    lanes: Registry<Mark>,
}

impl ReadMarks {
    /// Read marks beside the conversations of this executor.
    #[must_use]
    pub fn new(conversations: Arc<Conversations>) -> Self {
        Self { conversations, lanes: Registry::default() }
    }

    /// Moves a member's mark. When it returns, the move is durable.
    ///
    /// # Errors
    /// [`ExecuteError`]; after [`ExecuteError::Unavailable`] the mark may still move.
    pub async fn mark(
        &self,
        conversation: &Stream,
        member: &UserId,
        command: reads::Command,
        trace: Trace,
    ) -> Result<Marked, ExecuteError<Error>> {
        let Stream::Conversation(tenant, id) = conversation else {
            return Err(ExecuteError::Refused(Error::NotFound));
        };
        // What "everything" is, and who is a member, is asked of the log: a stale node knows neither.
        let confirmed = self.conversations.confirmed(conversation).await?;
        let decided = reads::decide(&confirmed.state, member, command).map_err(ExecuteError::Refused)?;
        let Some(event) = decided else {
            return Ok(Marked { position: confirmed.position, event: None });
        };
        let lane = Stream::Reads(tenant.clone(), *id);
        let (reply, answer) = oneshot::channel();
        let ports = self.conversations.ports();
        self.lanes
            .send(&lane, Mark { event: event.clone(), trace, reply }, |queue| {
                tokio::spawn(run(ports.clone(), lane.clone(), queue));
            })
            .map_err(|registry::Full| ExecuteError::Overloaded)?;
        let gone = |what: &str| ExecuteError::Unavailable(what.to_owned());
        let position = match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer?,
            Ok(Err(_)) => return Err(gone("the node is stopping")),
            Err(_) => return Err(gone("the log did not answer in time")),
        };
        Ok(Marked { position, event: Some(event) })
    }
}

async fn run(ports: Ports, lane: Stream, mut queue: Queue<Mark>) {
    let mut time = Timestamp::default();
    loop {
        let marks = queue.next(MARKS_PER_COMMIT).await;
        if marks.is_empty() {
            return;
        }
        time = time.max((ports.clock)());
        let mut replies = Vec::with_capacity(marks.len());
        let mut moves = Vec::with_capacity(marks.len());
        let mut trace = Trace::default();
        for mark in marks {
            replies.push(mark.reply);
            moves.push(mark.event);
            trace = mark.trace;
        }
        // One request's trace cannot stand for many.
        let trace = if replies.len() == 1 { trace } else { Trace::default() };
        let outcome = append(&ports, &lane, time, reads::coalesce(moves), trace).await;
        for reply in replies {
            let _ = reply.send(outcome.clone());
        }
    }
}

async fn append(
    ports: &Ports,
    lane: &Stream,
    time: Timestamp,
    moves: Vec<reads::Event>,
    trace: Trace,
) -> Result<Position, ExecuteError<Error>> {
    let commit_id = CommitId::from(Ulid::generate());
    let drafts: Vec<_> = moves
        .into_iter()
        .map(|event| Draft {
            version: 0,
            actor: Some(event.member().clone()),
            command: None,
            trace: trace.clone(),
            event: Event::Read(event),
        })
        .collect();
    let encoded = ports
        .codec
        .encode(lane.tenant(), commit_id, 0, &drafts)
        .await
        .map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
    let payload = assemble(commit_id, time, &encoded);
    let append = Append { stream: lane.clone(), expected: Expected::Any, commit_id, payload };
    let mut pause = FIRST_PAUSE;
    loop {
        match ports.log.append(append.clone()).await {
            Ok(appended) => return Ok(ports.log.position(ports.log.shard_of(lane), appended.sequence)),
            Err(AppendError::TooLarge { .. }) => return Err(ExecuteError::TooLarge),
            // The lane expects nothing, so a conflict is not one of its outcomes; asked again it ends.
            Err(AppendError::Unknown(what) | AppendError::Unavailable(what)) => {
                tracing::warn!(stream = %lane, reason = %what, "outcome unknown, sent again");
                pause = rest(pause).await;
            }
            Err(AppendError::Conflict) => pause = rest(pause).await,
        }
    }
}

