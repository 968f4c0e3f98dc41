//! The decisions of a turn: commands in their order on a working copy of the state, and the one commit
//! that their events become.

use std::collections::HashMap;

use bytes::Bytes;
use domain::conversation::messages::FactChange;
use domain::{Aggregate, CommandId, CommitId, Context, Ordinal, Timestamp};
use ulid::Ulid;

use super::changes::Messages;
use super::folded::Folded;
use super::known::KnownCommands;
use super::{ExecuteError, Outcome, Ports, Request};
use crate::codec::{Draft, assemble, parts};
use crate::envelope::{CommandTag, Logged};
use crate::facts::CommandFact;
use crate::log::MAX_COMMIT_BYTES;
use crate::subject::Stream;

/// Bytes of a commit that are not events.
const HEADER_BYTES: usize = 256;

type Answer<A> = Result<Outcome<<A as Aggregate>::Event>, ExecuteError<<A as Aggregate>::Error>>;

/// What became of one command in a plan.
pub(super) enum Planned<A: Logged> {
    /// Its events are in the commit.
    Events(Vec<A::Event>),
    /// It is the same as an earlier command of this commit.
    SameAs,
    /// It needs no append, but a confirmed head: a refusal, or nothing to do.
    Settled(Answer<A>),
}

/// The commands of a turn, decided on one state.
pub(super) struct Plan<A: Logged> {
    pub(super) commit: CommitId,
    pub(super) time: Timestamp,
    /// What became of each command, in their order: as many as fit into one commit.
    pub(super) planned: Vec<Planned<A>>,
    /// The named commands whose events are in the commit.
    pub(super) tags: Vec<CommandTag>,
    /// The state after the commit, but for where it will stand.
    pub(super) working: Folded<A>,
    /// What the commit changes of messages.
    pub(super) changes: Vec<(Ordinal, FactChange)>,
    /// What to append; `None` when nothing is.
    pub(super) payload: Option<Payload>,
}

/// How a commit is written.
pub(super) enum Payload {
    /// As one record.
    Record(Bytes),
    /// As parts, and a record that says where they are.
    Parts(Vec<String>),
}

impl<A: Logged> Plan<A> {
    /// Decides commands in their order, as many as fit into one record, or a single one
    /// that is too large for it.
    pub(super) async fn decide(
        ports: &Ports,
        stream: &Stream,
        folded: &Folded<A>,
        known: &KnownCommands,
        mut messages: Option<Messages>,
        requests: &[&Request<A::Command>],
    ) -> Result<Self, ExecuteError<A::Error>> {
        let position = |sequence| ports.log.position(ports.log.shard_of(stream), sequence);
        let commit = CommitId::from(Ulid::generate());
        let time = (ports.clock)().max(folded.time);
        let mut working = folded.clone();
        let mut planned = Vec::new();
        let mut encoded: Vec<String> = Vec::new();
        let mut bytes = HEADER_BYTES;
        let mut named: HashMap<CommandId, CommandTag> = HashMap::new();
        let mut changes = Vec::new();
        let mut parts = None;
        for request in requests {
            if let Some(tag) = request.tag
                && let Some(repeat) = repeat(tag, known.get(tag.id), named.get(&tag.id))
            {
                planned.push(match repeat {
                    Repeat::OfAnother => Planned::Settled(Err(ExecuteError::AnotherPayload)),
                    Repeat::OfThis => Planned::SameAs,
                    Repeat::At(sequence) => Planned::Settled(Ok(Outcome::Repeated {
                        position: position(sequence),
                    })),
                });
                continue;
            }
            let about = A::message(&request.command);
            if about.is_some() && messages.is_none() {
                let what = "the message cannot be looked up now".to_owned();
                planned.push(Planned::Settled(Err(ExecuteError::Unavailable(what))));
                continue;
            }
            let facts = about.zip(messages.as_ref());
            let context = Context {
                actor: request.actor.clone(),
                now: time,
                message: facts.and_then(|(message, known)| known.get(message).cloned()),
            };
            let events = match A::decide(&working.state, &request.command, &context) {
                Ok(events) if !events.is_empty() => events,
                Ok(_) => {
                    planned.push(Planned::Settled(Ok(Outcome::Unchanged {
                        position: position(folded.head),
                    })));
                    continue;
                }
                Err(error) => {
                    planned.push(Planned::Settled(Err(ExecuteError::Refused(error))));
                    continue;
                }
            };
            let drafts = drafts::<A>(request, &events, working.version);
            let written = ports
                .codec
                .encode(stream.tenant(), commit, encoded.len(), &drafts)
                .await
                .map_err(|error| ExecuteError::KeysAway(error.to_string()))?;
            let size: usize = written.iter().map(|event| event.len() + 1).sum();
            let is_large = HEADER_BYTES + size > MAX_COMMIT_BYTES;
            if bytes + size > MAX_COMMIT_BYTES && !encoded.is_empty() {
                // The next commit's.
                break;
            }
            if is_large {
                parts = parts::split(&written);
                if parts.is_none() {
                    planned.push(Planned::Settled(Err(ExecuteError::TooLarge)));
                    continue;
                }
            }
            bytes += size;
            encoded.extend(written);
            for event in &events {
                A::evolve(&mut working.state, event);
            }
            for (message, change) in drafts.iter().filter_map(|draft| draft.event.fact_change()) {
                if let Some(messages) = &mut messages {
                    messages.apply(message, &change);
                }
                changes.push((message, change));
            }
            working.version += events.len() as u64;
            named.extend(request.tag.map(|tag| (tag.id, tag)));
            planned.push(Planned::Events(events));
            if is_large {
                break;
            }
        }
        let payload = match parts {
            Some(parts) => Some(Payload::Parts(parts)),
            None if encoded.is_empty() => None,
            None => Some(Payload::Record(assemble(commit, time, &encoded))),
        };
        Ok(Self {
            commit,
            time,
            planned,
            tags: named.into_values().collect(),
            working,
            changes,
            payload,
        })
    }
}

/// What a named command repeats.
enum Repeat {
    /// A command with the same name and another payload.
    OfAnother,
    /// A command of the commit that is being planned.
    OfThis,
    /// A command whose events are here.
    At(u64),
}

/// What a named command repeats of what was carried out before, or is planned already.
fn repeat(tag: CommandTag, known: Option<CommandFact>, planned: Option<&CommandTag>) -> Option<Repeat> {
    let fingerprint = known.map(|fact| fact.fingerprint);
    let fingerprint = fingerprint.or(planned.map(|tag| tag.fingerprint))?;
    if fingerprint != tag.fingerprint {
        return Some(Repeat::OfAnother);
    }
    Some(known.map_or(Repeat::OfThis, |fact| Repeat::At(fact.sequence)))
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
