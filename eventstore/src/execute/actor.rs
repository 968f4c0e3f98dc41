//! The actor of one stream.
//!
//! A turn takes what has queued, decides it in order on a working copy of the state, and appends all
//! events as one commit that expects the head. What needs no append waits for the same confirmation:
//! an append that was accepted proves that the head was the one decided on.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use domain::{CommandId, CommitId, Timestamp};
use tokio::task::JoinHandle;

use tokio::time::Instant;
use ulid::Ulid;

use super::folded::{self, FoldError, Folded};
use super::known::{Known, KnownCommands, MOST_OLDER};
use super::plan::{Payload, Plan, Planned};
use super::registry::Queue;
use super::turns::{Contention, Turns};
use super::{Ask, Confirmed, ExecuteError, FIRST_PAUSE, Outcome, Ports, Reply, Request, Shared, rest};
use crate::codec::parts;
use crate::envelope::Logged;
use crate::facts::{Asked, CommandFact, MessageFacts};
use crate::log::{Append, AppendError, Expected};
use crate::subject::Stream;

/// Commands that are decided in one turn.
const TURN: usize = 256;
/// How often the parts of a large commit are written and left behind before its commands are given up.
const MOST_LEFT_BEHIND: u32 = 5;
/// How long commands wait for a read model that is too far behind.
const LAG_PATIENCE: Duration = Duration::from_secs(2);

/// A command that waits for its answer.
struct Waiting<A: Logged> {
    request: Request<A::Command>,
    reply: Reply<Outcome<A::Event>, A>,
}

/// How a turn's append ended.
enum Appending {
    At(u64),
    Conflict,
}

pub(super) struct Actor<A: Logged> {
    ports: Ports,
    shared: Shared,
    stream: Stream,
    shard: u16,
    queue: Queue<Ask<A>>,
    waiting: VecDeque<Waiting<A>>,
    folded: Option<Folded<A>>,
    /// Whether `folded` was confirmed at the log after everything had arrived that was taken so far.
    confirmed: bool,
    /// Loaded together with `folded`.
    known: Known,
    /// The messages that this turn's commands are about, and what the read model knows of them; `None` while
    /// nothing can be known.
    asked: Vec<Asked>,
    looked_up: Option<MessageFacts>,
    turns: Turns,
    saving: Option<JoinHandle<()>>,
}

impl<A: Logged> Actor<A> {
    pub(super) fn new(ports: Ports, shared: Shared, stream: Stream, queue: Queue<Ask<A>>) -> Self {
        let shard = ports.log.shard_of(&stream);
        Self {
            ports,
            shared,
            stream,
            shard,
            queue,
            waiting: VecDeque::new(),
            folded: None,
            confirmed: false,
            known: Known::default(),
            asked: Vec::new(),
            looked_up: None,
            turns: Turns::default(),
            saving: None,
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
            self.confirmed &= asks.is_empty();
            let mut questions = Vec::new();
            for ask in asks {
                match ask {
                    Ask::Execute { request, reply } => {
                        self.waiting.push_back(Waiting {
                            request: *request,
                            reply,
                        });
                    }
                    Ask::Confirm { reply } => questions.push(reply),
                }
            }
            if !questions.is_empty() {
                self.answer(questions).await;
            }
            if !self.waiting.is_empty()
                && let Err(error) = self.turn().await
            {
                self.give_up(&error);
            }
            // What is known here is all there is to know it by while the read model is away.
            if !self.shared.stores.facts_are_away() {
                self.known.shed(self.ports.projected.get(self.shard));
            }
        }
    }

    /// Answers questions for the state, after the head was confirmed.
    async fn answer(&mut self, questions: Vec<Reply<Confirmed<A::State>, A>>) {
        let answer = self.confirmed_state().await.map_err(ExecuteError::from);
        for reply in questions {
            let _ = reply.send(answer.clone());
        }
    }

    async fn confirmed_state(&mut self) -> Result<Confirmed<A::State>, FoldError> {
        let mut folded = self.take_folded().await?;
        let confirmed = self.confirm(&mut folded).await.map(|()| Confirmed {
            state: folded.state.clone(),
            position: self.ports.log.position(self.shard, folded.head),
            time: folded.time,
        });
        self.folded = Some(folded);
        confirmed
    }

    async fn take_folded(&mut self) -> Result<Folded<A>, FoldError> {
        if let Some(folded) = self.folded.take() {
            return Ok(folded);
        }
        let folded = Folded::load(&self.ports, &self.shared.stores, &self.stream, &mut self.known).await?;
        self.confirmed = true;
        self.shared.met.raise(self.shard, folded.head);
        Ok(folded)
    }

    /// Makes sure that the state is at least as new as everything that was taken so far.
    async fn confirm(&mut self, folded: &mut Folded<A>) -> Result<(), FoldError> {
        if !self.confirmed {
            self.catch_up(folded).await?;
        }
        Ok(())
    }

    /// Folds the tail, and returns the ids of its commits with their sequences.
    async fn catch_up(&mut self, folded: &mut Folded<A>) -> Result<Vec<(CommitId, u64)>, FoldError> {
        let tail = folded
            .catch_up(&self.ports, &self.stream, &mut self.known)
            .await?;
        self.confirmed = true;
        self.shared.met.raise(self.shard, folded.head);
        if !tail.is_empty() {
            self.turns.met_another();
        }
        Ok(tail)
    }

    /// Decides what waits, appends it, and answers it. What does not fit into one commit stays.
    async fn turn(&mut self) -> Result<(), ExecuteError<A::Error>> {
        let mut folded = self.take_folded().await?;
        let ended = self.turn_on(&mut folded).await;
        // However it ended, the state is one that the stream had.
        self.folded = Some(folded);
        ended
    }

    async fn turn_on(&mut self, folded: &mut Folded<A>) -> Result<(), ExecuteError<A::Error>> {
        self.wait_for_projection().await?;
        self.look_up(folded.head).await?;
        self.look_up_messages(folded.head).await?;
        self.turns.breathe().await;
        let mut contention = Contention::new();
        let mut left_behind = 0;
        while !self.attempt(folded, &mut left_behind).await? {
            if left_behind == MOST_LEFT_BEHIND || !contention.pause().await {
                return Err(ExecuteError::Overloaded);
            }
        }
        Ok(())
    }

    /// One attempt at a turn; `false` when the stream had moved on.
    async fn attempt(
        &mut self,
        folded: &mut Folded<A>,
        left_behind: &mut u32,
    ) -> Result<bool, ExecuteError<A::Error>> {
        let mut plan = self.plan(folded).await?;
        if plan.payload.is_none() && !self.confirmed {
            // No append will prove the head that this rests on.
            let decided_on = folded.head;
            self.confirm(folded).await?;
            if folded.head != decided_on {
                plan = self.plan(folded).await?;
            }
        }
        let Plan {
            commit,
            time,
            planned,
            tags,
            working,
            changes,
            payload,
        } = plan;
        let payload = match payload {
            None => {
                self.settle(planned, time, folded.head);
                return Ok(true);
            }
            Some(Payload::Record(payload)) => payload,
            Some(Payload::Parts(parts)) => match self.append_parts(folded, time, &parts).await? {
                Some(sequences) => parts::assemble_of_parts(commit, time, &sequences),
                None => {
                    // What was decided may not be so any more: the parts that are there are left behind, in a
                    // log that nothing is ever taken out of. So that is not tried often.
                    self.shared.conflicts.fetch_add(1, Ordering::Relaxed);
                    *left_behind += 1;
                    self.catch_up(folded).await?;
                    return Ok(false);
                }
            },
        };
        match self.append(commit, folded.head, payload).await? {
            Appending::At(sequence) => {
                *folded = working;
                folded.advance(commit, sequence, time);
                self.confirmed = true;
                self.shared.met.raise(self.shard, sequence);
                self.turns.appended();
                self.known.changes.insert(sequence, changes);
                for tag in tags {
                    self.known.commands.insert(
                        tag.id,
                        CommandFact {
                            fingerprint: tag.fingerprint,
                            sequence,
                        },
                    );
                }
                self.save_snapshot(folded);
                self.settle(planned, time, sequence);
                Ok(true)
            }
            Appending::Conflict => {
                let tail = self.catch_up(folded).await?;
                // An append whose acknowledgement was lost is found in the tail by its commit id.
                let own = tail.iter().find(|(id, _)| *id == commit);
                if let Some((_, sequence)) = own {
                    self.settle(planned, time, *sequence);
                } else {
                    self.shared.conflicts.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(stream = %self.stream, "conflict");
                }
                Ok(own.is_some())
            }
        }
    }

    /// Appends the parts of a commit and returns their sequences; `None` when the stream had moved on.
    async fn append_parts(
        &self,
        folded: &mut Folded<A>,
        time: Timestamp,
        parts: &[String],
    ) -> Result<Option<Vec<u64>>, ExecuteError<A::Error>> {
        let mut sequences = Vec::with_capacity(parts.len());
        for part in parts {
            let id = CommitId::from(Ulid::generate());
            let payload = parts::assemble_part(id, time, part);
            let Appending::At(sequence) = self.append(id, folded.head, payload).await? else {
                return Ok(None);
            };
            folded.advance(id, sequence, time);
            self.shared.met.raise(self.shard, sequence);
            sequences.push(sequence);
        }
        Ok(Some(sequences))
    }

    async fn plan(&self, folded: &Folded<A>) -> Result<Plan<A>, ExecuteError<A::Error>> {
        let waiting = self.waiting.iter().take(TURN);
        let requests: Vec<_> = waiting.map(|waiting| &waiting.request).collect();
        let looked_up = self.looked_up.as_ref();
        let messages = looked_up.map(|known| self.known.changes.now(&self.asked, known));
        let known = &self.known.commands;
        Plan::decide(&self.ports, &self.stream, folded, known, messages, &requests).await
    }

    /// Looks up the messages that commands of this turn are about. Without the read model, only those that
    /// were sent since it was last seen are known.
    async fn look_up_messages(&mut self, head: u64) -> Result<(), ExecuteError<A::Error>> {
        let requests = self.waiting.iter().take(TURN).map(|waiting| &waiting.request);
        let asked = |request: &Request<A::Command>| {
            A::message(&request.command).map(|message| (message, request.actor.clone()))
        };
        self.asked = requests.filter_map(asked).collect();
        if self.asked.is_empty() {
            return Ok(());
        }
        let stores = &self.shared.stores;
        let known = stores.messages(self.shard, &self.stream, &self.asked).await;
        self.looked_up = known.or_else(|| self.known.changes.without_read_model(&self.asked));
        let Some(from) = self.looked_up.as_ref().map(|known| known.checkpoint) else {
            return Ok(());
        };
        let known = &mut self.known.changes;
        if from < known.floor {
            folded::learn_changes_between(&self.ports, &self.stream, known, from, head).await?;
        }
        Ok(())
    }

    /// Looks up those named commands that nothing is known of here.
    async fn look_up(&mut self, head: u64) -> Result<(), ExecuteError<A::Error>> {
        let named = self
            .waiting
            .iter()
            .take(TURN)
            .filter_map(|waiting| waiting.request.tag);
        let named: Vec<CommandId> = named.map(|tag| tag.id).collect();
        let in_doubt = |known: &KnownCommands| named.iter().any(|id| known.is_in_doubt(*id));
        if !in_doubt(&self.known.commands) {
            return Ok(());
        }
        if self.known.commands.wants_older()
            && let Some(all) = self
                .shared
                .stores
                .command_ids(self.shard, &self.stream, MOST_OLDER)
                .await
        {
            self.let_go(all.checkpoint, head).await?;
            self.known.commands.learn_older(all.ids);
            if !in_doubt(&self.known.commands) {
                return Ok(());
            }
        }
        // All of them are asked for, the known ones too: what the answer lets go of here is in it.
        // Without an answer, none of it is: the log knows as well, only slower, and what was read of it
        // is kept.
        let facts = self.shared.stores.facts(self.shard, &self.stream, &named).await;
        let facts = facts.unwrap_or_default();
        self.let_go(facts.checkpoint, head).await?;
        for (id, fact) in facts.commands {
            self.known.commands.insert(id, fact);
        }
        Ok(())
    }

    /// Knows the commands above a checkpoint that was read together with what the read model knows.
    async fn let_go(&mut self, checkpoint: u64, head: u64) -> Result<(), FoldError> {
        if checkpoint < self.known.commands.floor {
            folded::learn_between(
                &self.ports,
                &self.stream,
                &mut self.known.commands,
                checkpoint,
                head,
            )
            .await?;
        }
        self.known.commands.forget(checkpoint);
        Ok(())
    }

    /// Appends, and repeats an append of unknown outcome until an acknowledgement or a conflict ends it.
    async fn append(
        &self,
        commit_id: CommitId,
        head: u64,
        payload: Bytes,
    ) -> Result<Appending, ExecuteError<A::Error>> {
        let append = Append {
            stream: self.stream.clone(),
            expected: Expected::Head(head),
            commit_id,
            payload,
        };
        let mut pause = FIRST_PAUSE;
        let mut unknown = false;
        let begun = Instant::now();
        loop {
            let answer = self.ports.log.append(append.clone()).await;
            if matches!(answer, Ok(_) | Err(AppendError::Conflict)) {
                self.shared.silence.ends(self.shard);
            }
            match answer {
                Ok(appended) => return Ok(Appending::At(appended.sequence)),
                Err(AppendError::Conflict) => return Ok(Appending::Conflict),
                Err(AppendError::TooLarge { .. }) => return Err(ExecuteError::TooLarge),
                Err(AppendError::Unavailable(what)) if !unknown => {
                    return Err(ExecuteError::Unavailable(what));
                }
                Err(AppendError::Unknown(what) | AppendError::Unavailable(what)) => {
                    unknown = true;
                    self.shared.silence.lasts(self.shard, begun);
                    tracing::warn!(stream = %self.stream, reason = %what, "outcome unknown, sent again");
                    pause = rest(pause).await;
                }
            }
        }
    }

    /// Answers the commands of a plan. Everything in it rests on a head that is confirmed by now.
    fn settle(&mut self, planned: Vec<Planned<A>>, time: Timestamp, sequence: u64) {
        let position = self.ports.log.position(self.shard, sequence);
        for planned in planned {
            let Some(waiting) = self.waiting.pop_front() else {
                return;
            };
            let answer = match planned {
                Planned::Events(events) => Ok(Outcome::Appended {
                    position,
                    time,
                    events,
                }),
                Planned::SameAs => Ok(Outcome::Repeated { position }),
                // It may rest on events of this very commit: who reads at its position sees them.
                Planned::Settled(Ok(Outcome::Unchanged { .. })) => Ok(Outcome::Unchanged { position }),
                Planned::Settled(answer) => answer,
            };
            // Whoever asked may have gone.
            let _ = waiting.reply.send(answer);
        }
    }

    /// Answers everything that waits with an error.
    fn give_up(&mut self, error: &ExecuteError<A::Error>) {
        tracing::warn!(stream = %self.stream, %error, commands = self.waiting.len(), "commands given up");
        for waiting in self.waiting.drain(..) {
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }

    /// Makes commands wait rather than memory grow while the read model is too far behind.
    async fn wait_for_projection(&self) -> Result<(), ExecuteError<A::Error>> {
        let must_have = self.shared.met.get(self.shard).saturating_sub(self.ports.max_lag);
        let position = self.ports.log.position(self.shard, must_have);
        if self.ports.projected.reached(position, LAG_PATIENCE).await {
            Ok(())
        } else {
            Err(ExecuteError::Overloaded)
        }
    }

    /// Saves a snapshot when one is due and the one before it is saved.
    fn save_snapshot(&mut self, folded: &mut Folded<A>) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        let Some(snapshot) = folded.due_snapshot(&self.ports) else {
            return;
        };
        let (snapshots, stream) = (self.ports.snapshots.clone(), self.stream.clone());
        self.saving = Some(tokio::spawn(async move {
            if let Err(error) = snapshots.save(&stream, &snapshot).await {
                tracing::warn!(%stream, %error, "a snapshot was not saved");
            }
        }));
    }
}
