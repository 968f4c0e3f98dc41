//! The lane of read marks: beside a conversation's stream, without expectations, coalesced across
//! members.

use std::sync::Arc;
use std::time::Duration;

use domain::conversation::{Error, reads};
use domain::{CommitId, Timestamp, UserId};
use tokio::sync::oneshot;
use tokio::time::Instant;
use ulid::Ulid;

use super::folded::FoldError;
use super::registry::{self, Queue, Registry};
use super::{Conversations, ExecuteError, FIRST_PAUSE, PATIENCE, Ports, rest};
use crate::codec::{Draft, assemble};
use crate::envelope::{Event, Trace};
use crate::log::{Append, AppendError, Expected, Position};
use crate::subject::Stream;

/// Marks that become one commit: as many as are surely under the cap of a record.
const MARKS_PER_COMMIT: usize = 400;
/// How long a commit of unknown outcome is sent again. A commit that expects nothing is told from its
/// repeat by its id alone, and the log remembers that for two minutes.
const SENT_AGAIN: Duration = Duration::from_secs(60);

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
    /// When the newest event was recorded that this was decided on: nothing is read before it is sent.
    after: Timestamp,
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
        Self {
            conversations,
            lanes: Registry::default(),
        }
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
            return Ok(Marked {
                position: confirmed.position,
                event: None,
            });
        };
        let lane = Stream::Reads(tenant.clone(), *id);
        let (reply, answer) = oneshot::channel();
        let ports = self.conversations.ports();
        self.lanes
            .send(
                &lane,
                Mark {
                    event: event.clone(),
                    after: confirmed.time,
                    trace,
                    reply,
                },
                |queue| {
                    tokio::spawn(run(ports.clone(), lane.clone(), queue));
                },
            )
            .map_err(|registry::Full| ExecuteError::Overloaded)?;
        let gone = |what: &str| ExecuteError::Unavailable(what.to_owned());
        let position = match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer?,
            Ok(Err(_)) => return Err(gone("the node is stopping")),
            Err(_) => return Err(gone("the log did not answer in time")),
        };
        Ok(Marked {
            position,
            event: Some(event),
        })
    }
}

async fn run(ports: Ports, lane: Stream, mut queue: Queue<Mark>) {
    let mut newest = None;
    loop {
        let marks = queue.next(MARKS_PER_COMMIT).await;
        if marks.is_empty() {
            return;
        }
        let mut replies = Vec::with_capacity(marks.len());
        let mut moves = Vec::with_capacity(marks.len());
        let mut after = (ports.clock)();
        let mut trace = Trace::default();
        for mark in marks {
            replies.push(mark.reply);
            moves.push(mark.event);
            after = after.max(mark.after);
            trace = mark.trace;
        }
        // One request's trace cannot stand for many.
        let trace = if replies.len() == 1 {
            trace
        } else {
            Trace::default()
        };
        let outcome = async {
            let time = match newest {
                Some(newest) => after.max(newest),
                None => after.max(newest_time(&ports, &lane).await?),
            };
            newest = Some(time);
            append(&ports, &lane, time, reads::coalesce(moves), trace).await
        };
        let outcome = outcome.await;
        for reply in replies {
            let _ = reply.send(outcome.clone());
        }
    }
}

/// When the newest commit of a lane was recorded.
async fn newest_time(ports: &Ports, lane: &Stream) -> Result<Timestamp, FoldError> {
    let head = ports.log.head(lane).await?;
    let newest = if head > 0 {
        ports.log.read_stream(lane, head - 1, 1).await?
    } else {
        Vec::new()
    };
    let commits = ports.codec.decode(&newest).await?;
    Ok(commits
        .last()
        .map_or_else(Timestamp::default, |commit| commit.time))
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
        .map_err(|error| ExecuteError::KeysAway(error.to_string()))?;
    let payload = assemble(commit_id, time, &encoded);
    let append = Append {
        stream: lane.clone(),
        expected: Expected::Any,
        commit_id,
        payload,
    };
    let mut pause = FIRST_PAUSE;
    let mut unknown = false;
    let start = Instant::now();
    loop {
        let reason = match ports.log.append(append.clone()).await {
            Ok(appended) => return Ok(ports.log.position(ports.log.shard_of(lane), appended.sequence)),
            Err(AppendError::TooLarge { .. }) => return Err(ExecuteError::TooLarge),
            Err(AppendError::Unavailable(what)) if !unknown => return Err(ExecuteError::Unavailable(what)),
            Err(AppendError::Unknown(what) | AppendError::Unavailable(what)) => what,
            // Where nothing is expected, nothing conflicts.
            Err(error @ AppendError::Conflict) => error.to_string(),
        };
        if start.elapsed() > SENT_AGAIN {
            return Err(ExecuteError::Unavailable(reason));
        }
        unknown = true;
        tracing::warn!(stream = %lane, %reason, "outcome unknown, sent again");
        pause = rest(pause).await;
    }
}
