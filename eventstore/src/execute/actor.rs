//! The actor of one stream.
//!
//! A turn takes what has queued, decides it in order on a working copy of the state, and appends all
//! events as one commit that expects the head. What needs no append waits for the same confirmation:
//! an append that was accepted proves that the head was the one decided on.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use domain::{Aggregate, CommandId, CommitId, Context, Timestamp};
use rand::RngExt;
use ulid::Ulid;

use super::folded::{self, FoldError, Folded};
use super::known::KnownCommands;
use super::registry::Queue;
use super::{Ask, Confirmed, ExecuteError, Outcome, Ports, Reply, Request};
use crate::codec::{Draft, assemble};
use crate::envelope::{CommandTag, Logged};
use crate::facts::CommandFact;
use crate::log::{Append, AppendError, Expected, MAX_COMMIT_BYTES};
use crate::subject::Stream;

/// Commands that are decided in one turn.
const TURN: usize = 256;
/// Bytes of a commit that are not events.
const HEADER_BYTES: usize = 256;
/// Conflicts after which the commands of a turn are given up as too contended.
const MAX_CONFLICTS: u32 = 50;
/// The first pause after a conflict or an unknown outcome; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How long commands wait for a read model that is too far behind.
const LAG_PATIENCE: Duration = Duration::from_secs(2);

type Answer<A> = Result<Outcome<<A as Aggregate>::Event>, ExecuteError<<A as Aggregate>::Error>>;

/// A command that waits for its answer.
struct Waiting<A: Logged> {
    request: Request<A::Command>,
    reply: Reply<Outcome<A::Event>, A>,
}

/// What became of one command in a plan.
enum Planned<A: Logged> {
    /// Its events are in the commit.
    Events(Vec<A::Event>),
    /// It is the same as an earlier command of this commit.
    SameAs,
    /// It needs no append, but a confirmed head: a refusal, or nothing to do.
    Settled(Answer<A>),
}

/// The commands of a turn, decided on one state.
struct Plan<A: Logged> {
    commit: CommitId,
    time: Timestamp,
    planned: Vec<Planned<A>>,
    tags: Vec<CommandTag>,
    working: Folded<A>,
    payload: Option<Bytes>,
}

/// How a turn's append ended.
enum Appending {
    At(u64),
    Conflict,
}

pub(super) struct Actor<A: Logged> {
    ports: Ports,
    stream: Stream,
    shard: u16,
    queue: Queue<Ask<A>>,
    waiting: VecDeque<Waiting<A>>,
    folded: Option<Folded<A>>,
    known: KnownCommands,
}

impl<A: Logged> Actor<A> {
    pub(super) fn new(ports: Ports, stream: Stream, queue: Queue<Ask<A>>) -> Self {
        let shard = ports.log.shard_of(&stream);
        Self {
            ports,
            stream,
            shard,
            queue,
            waiting: VecDeque::new(),
            folded: None,
            known: KnownCommands::default(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let asks = if self.waiting.is_empty() {
                self.queue.next(TURN).await
            } else {
                self.queue.ready(TURN - self.waiting.len().min(TURN))
            };
            if asks.is_empty() && self.waiting.is_empty() {
                return;
            }
            let mut questions = Vec::new();
            for ask in asks {
                match ask {
                    Ask::Execute { request, reply } => {
                        self.waiting.push_back(Waiting { request: *request, reply });
                    }
                    Ask::Confirm { reply } => questions.push(reply),
                }
            }
            if !questions.is_empty() {
                self.answer(questions).await;
            }
            if !self.waiting.is_empty() {
                self.turn().await;
            }
        }
    }

    /// Answers questions for the state, after the head was confirmed.
    async fn answer(&mut self, questions: Vec<Reply<Confirmed<A::State>, A>>) {
        let confirmed = self.confirm().await.map(|folded| (folded.state.clone(), folded.head));
        let answer = match confirmed {
            Ok((state, head)) => {
                Ok(Confirmed { state, position: self.ports.log.position(self.shard, head) })
            }
            Err(error) => Err(error.into()),
        };
        for reply in questions {
            let _ = reply.send(answer.clone());
        }
    }

    /// The state at the head that the log has now.
    async fn confirm(&mut self) -> Result<&Folded<A>, FoldError> {
        let mut folded = self.take_folded().await?;
        // The head is asked for first: whatever it was, the tail read after it is at least as new.
        let head = self.ports.log.head(&self.stream).await?;
        if head != folded.head {
            folded.catch_up(&self.ports, &self.stream, &mut self.known).await?;
        }
        if folded.head < head {
            return Err(FoldError::Unavailable("the tail of the stream is not readable yet".to_owned()));
        }
        Ok(self.folded.insert(folded))
    }

    async fn take_folded(&mut self) -> Result<Folded<A>, FoldError> {
        match self.folded.take() {
            Some(folded) => Ok(folded),
            None => Folded::load(&self.ports, &self.stream, &mut self.known).await,
        }
    }

    /// Decides what waits, appends it, and answers it. What does not fit into one commit stays.
    async fn turn(&mut self) {
        if let Err(error) = self.wait_for_projection().await {
            return self.give_up(&error);
        }
        let mut pause = FIRST_PAUSE;
        for _ in 0..MAX_CONFLICTS {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => pause = rest(pause).await,
                Err(error) => return self.give_up(&error),
            }
        }
        self.give_up(&ExecuteError::Overloaded);
    }

    /// One attempt at a turn; `false` when the stream had moved on.
    async fn attempt(&mut self) -> Result<bool, ExecuteError<A::Error>> {
        let mut folded = self.take_folded().await?;
        self.look_up().await?;
        let plan = self.plan(&folded).await?;
        let Some(payload) = plan.payload.clone() else {
            let decided_on = folded.head;
            self.folded = Some(folded);
            if self.confirm().await?.head != decided_on {
                return Ok(false);
            }
            self.settle(plan, decided_on);
            return Ok(true);
        };
        match self.append(plan.commit, folded.head, payload).await? {
            Appending::At(sequence) => {
                folded = plan.working.clone();
                folded.advance(plan.commit, sequence, plan.time);
                for tag in &plan.tags {
                    self.known.insert(tag.id, CommandFact { fingerprint: tag.fingerprint, sequence });
                }
                if let Some(snapshot) = folded.due_snapshot(&self.ports) {
                    self.save(snapshot);
                }
                self.folded = Some(folded);
                self.settle(plan, sequence);
                Ok(true)
            }
            Appending::Conflict => {
                let tail = folded.catch_up(&self.ports, &self.stream, &mut self.known).await?;
                self.folded = Some(folded);
                // An append whose acknowledgement was lost is found in the tail by its commit id.
                match tail.iter().find(|(commit, _)| *commit == plan.commit) {
                    Some((_, sequence)) => {
                        self.settle(plan, *sequence);
                        Ok(true)
                    }
                    None => {
                        tracing::debug!(stream = %self.stream, "conflict");
                        Ok(false)
                    }
                }
            }
        }
    }

    /// Looks up those named commands that nothing is known of here.
    async fn look_up(&mut self) -> Result<(), ExecuteError<A::Error>> {
        let unknown: Vec<CommandId> = self
            .waiting
            .iter()
            .take(TURN)
            .filter_map(|waiting| waiting.request.tag)
            .map(|tag| tag.id)
            .filter(|id| self.known.get(*id).is_none())
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let facts = self
            .ports
            .facts
            .facts(self.shard, &self.stream, &unknown)
            .await
            .map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
        if facts.checkpoint < self.known.floor {
            folded::learn_between(&self.ports, &self.stream, &mut self.known, facts.checkpoint).await?;
        }
        self.known.forget(facts.checkpoint);
        for (id, fact) in facts.commands {
            self.known.insert(id, fact);
        }
        Ok(())
    }

    /// Decides as many waiting commands as fit into one commit.
    async fn plan(&self, folded: &Folded<A>) -> Result<Plan<A>, ExecuteError<A::Error>> {
        let commit = CommitId::from(Ulid::generate());
        let time = (self.ports.clock)().max(folded.time);
        let mut working = folded.clone();
        let mut planned = Vec::new();
        let mut encoded: Vec<String> = Vec::new();
        let mut bytes = HEADER_BYTES;
        let mut named: HashMap<CommandId, CommandTag> = HashMap::new();
        for Waiting { request, .. } in self.waiting.iter().take(TURN) {
            if let Some(tag) = request.tag
                && let Some(answer) = self.answer_repeat(tag, named.get(&tag.id))
            {
                planned.push(answer);
                continue;
            }
            let context = Context { actor: request.actor.clone(), now: time };
            let events = match A::decide(&working.state, &request.command, &context) {
                Ok(events) if !events.is_empty() => events,
                Ok(_) => {
                    let position = self.ports.log.position(self.shard, folded.head);
                    planned.push(Planned::Settled(Ok(Outcome::Unchanged { position })));
                    continue;
                }
                Err(error) => {
                    planned.push(Planned::Settled(Err(ExecuteError::Refused(error))));
                    continue;
                }
            };
            let drafts = drafts::<A>(request, &events, working.version);
            let written = self
                .ports
                .codec
                .encode(self.stream.tenant(), commit, encoded.len(), &drafts)
                .await
                .map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
            let size: usize = written.iter().map(|event| event.len() + 1).sum();
            if bytes + size > MAX_COMMIT_BYTES {
                if encoded.is_empty() {
                    planned.push(Planned::Settled(Err(ExecuteError::TooLarge)));
                    continue;
                }
                // The next commit's.
                break;
            }
            bytes += size;
            encoded.extend(written);
            events.iter().for_each(|event| A::evolve(&mut working.state, event));
            working.version += events.len() as u64;
            named.extend(request.tag.map(|tag| (tag.id, tag)));
            planned.push(Planned::Events(events));
        }
        let payload = if encoded.is_empty() { None } else { Some(assemble(commit, time, &encoded)) };
        Ok(Plan { commit, time, planned, tags: named.into_values().collect(), working, payload })
    }

    /// The answer to a named command that was carried out before, or is being so in this commit.
    fn answer_repeat(&self, tag: CommandTag, planned: Option<&CommandTag>) -> Option<Planned<A>> {
        let known = self.known.get(tag.id);
        let fingerprint = known.map(|fact| fact.fingerprint).or(planned.map(|tag| tag.fingerprint))?;
        if fingerprint != tag.fingerprint {
            return Some(Planned::Settled(Err(ExecuteError::AnotherPayload)));
        }
        Some(known.map_or(Planned::SameAs, |fact| {
            let position = self.ports.log.position(self.shard, fact.sequence);
            Planned::Settled(Ok(Outcome::Repeated { position }))
        }))
    }

    /// Appends, and repeats an append of unknown outcome until an acknowledgement or a conflict ends it.
    async fn append(
        &self,
        commit_id: CommitId,
        head: u64,
        payload: Bytes,
    ) -> Result<Appending, ExecuteError<A::Error>> {
        let append =
            Append { stream: self.stream.clone(), expected: Expected::Head(head), commit_id, payload };
        let mut pause = FIRST_PAUSE;
        let mut unknown = false;
        loop {
            match self.ports.log.append(append.clone()).await {
                Ok(appended) => return Ok(Appending::At(appended.sequence)),
                Err(AppendError::Conflict) => return Ok(Appending::Conflict),
                Err(AppendError::TooLarge { .. }) => return Err(ExecuteError::TooLarge),
                Err(AppendError::Unavailable(what)) if !unknown => {
                    return Err(ExecuteError::Unavailable(what));
                }
                Err(AppendError::Unknown(what) | AppendError::Unavailable(what)) => {
                    unknown = true;
                    tracing::warn!(stream = %self.stream, reason = %what, "outcome unknown, sent again");
                    pause = rest(pause).await;
                }
            }
        }
    }

    /// Answers the commands of a plan. Everything in it rests on a head that is confirmed by now.
    fn settle(&mut self, plan: Plan<A>, sequence: u64) {
        let position = self.ports.log.position(self.shard, sequence);
        for planned in plan.planned {
            let Some(waiting) = self.waiting.pop_front() else { return };
            let answer = match planned {
                Planned::Events(events) => Ok(Outcome::Appended { position, time: plan.time, events }),
                Planned::SameAs => Ok(Outcome::Repeated { position }),
                Planned::Settled(answer) => answer,
            };
            // Whoever asked may have gone.
            let _ = waiting.reply.send(answer);
        }
    }

    /// Answers everything that waits with an error, and forgets the state: the next turn loads it anew.
    fn give_up(&mut self, error: &ExecuteError<A::Error>) {
        self.folded = None;
        tracing::warn!(stream = %self.stream, %error, commands = self.waiting.len(), "commands given up");
        for waiting in self.waiting.drain(..) {
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }

    /// Makes commands wait rather than memory grow while the read model is too far behind.
    async fn wait_for_projection(&self) -> Result<(), ExecuteError<A::Error>> {
        let end = self.ports.log.end(self.shard).await.map_err(FoldError::from)?;
        let must_have = end.saturating_sub(self.ports.max_lag);
        let position = self.ports.log.position(self.shard, must_have);
        if self.ports.projected.reached(position, LAG_PATIENCE).await {
            Ok(())
        } else {
            Err(ExecuteError::Overloaded)
        }
    }

    fn save(&self, snapshot: crate::snapshot::Snapshot) {
        let (snapshots, stream) = (self.ports.snapshots.clone(), self.stream.clone());
        tokio::spawn(async move {
            if let Err(error) = snapshots.save(&stream, &snapshot).await {
                tracing::warn!(%stream, %error, "a snapshot was not saved");
            }
        });
    }
}

fn drafts<A: Logged>(request: &Request<A::Command>, events: &[A::Event], version: u64) -> Vec<Draft> {
    events
        .iter()
        .zip(version + 1..)
        .map(|(event, version)| Draft {
            version,
            actor: request.actor.clone(),
            command: request.tag,
            trace: request.trace.clone(),
            event: A::wrap(event.clone()),
        })
        .collect()
}

/// Waits about this long, and returns twice as long for the next time.
pub(super) async fn rest(pause: Duration) -> Duration {
    let jitter = rand::rng().random_range(0.5..1.5);
    tokio::time::sleep(pause.mul_f64(jitter)).await;
    (pause * 2).min(LONGEST_PAUSE)
}
