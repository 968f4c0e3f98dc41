//! How commits are written: JSON with one header and the events, each with its clear `data` and its
//! sealed body.
//!
//! A type's shape never changes (`shapes`); a new shape is a new version of the type, and an upcaster
//! lifts what was written before. What cannot be decoded is an error and never skipped.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use domain::{CommandId, CommitId, EventId, Fingerprint, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::decoded::Decoded;
use crate::envelope::{CommandTag, Commit, Event, Recorded, Trace};
use crate::log::{EventLog, ReadError, Record};
use crate::sealing::{self, KeyStore, KeysUnavailable, Sealed, Vault};
use crate::subject::Stream;

mod decoded;
pub mod parts;
mod shapes;
mod types;

#[cfg(test)]
mod tests;

/// The version of the record format itself.
const FORMAT: u8 = 1;

/// Why a record could not be decoded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DecodeError {
    /// The record is not one this version understands. It is never skipped.
    #[error("the record at sequence {sequence} of shard {shard} cannot be decoded: {detail}")]
    Undecodable {
        /// The shard.
        shard: u16,
        /// The record's sequence.
        sequence: u64,
        /// What is wrong with it, without any of its content.
        detail: String,
    },
    /// The keys are away: try again.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    /// The parts of a commit could not be read: try again.
    #[error("the parts of a commit cannot be read: {0}")]
    Parts(#[from] ReadError),
}

/// An event that is about to be written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its number in the stream; 0 in the lane of read marks.
    pub version: u64,
    /// On whose behalf it happens.
    pub actor: Option<UserId>,
    /// The client's command it comes from.
    pub command: Option<CommandTag>,
    /// Where it comes from.
    pub trace: Trace,
    /// What happens.
    pub event: Event,
}

#[derive(Deserialize)]
struct WireCommit<'a> {
    v: u8,
    id: CommitId,
    time: Timestamp,
    #[serde(borrow, default)]
    events: Vec<WireEvent<'a>>,
    /// The text of a part, and of a commit in parts where they are.
    #[serde(default)]
    part: Option<String>,
    #[serde(default)]
    parts: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct WireEvent<'a> {
    #[serde(rename = "type")]
    event_type: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_zero")]
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<UserId>,
    #[serde(default, rename = "commandid", skip_serializing_if = "Option::is_none")]
    command_id: Option<CommandId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    #[serde(default, rename = "causationid", skip_serializing_if = "Option::is_none")]
    causation_id: Option<EventId>,
    #[serde(default, rename = "correlationid", skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(borrow)]
    data: std::borrow::Cow<'a, RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
const fn is_zero(version: &u64) -> bool {
    *version == 0
}

/// The id of a commit, without decoding its events; `None` when the payload is not a commit.
#[must_use]
pub fn commit_id(payload: &[u8]) -> Option<CommitId> {
    #[derive(Deserialize)]
    struct Header {
        id: CommitId,
    }
    serde_json::from_slice::<Header>(payload)
        .ok()
        .map(|header| header.id)
}

/// The id of the event at an index of a commit: the commit's id plus the index, as 128-bit numbers.
#[must_use]
pub fn event_id(commit: CommitId, index: usize) -> EventId {
    EventId::from_bytes(
        u128::from_be_bytes(commit.to_bytes())
            .wrapping_add(index as u128)
            .to_be_bytes(),
    )
}

/// Writes a commit out of events that [`Codec::encode`] wrote, in their order.
#[must_use]
pub fn assemble(id: CommitId, time: Timestamp, events: &[String]) -> Bytes {
    let header = format!(
        r#"{{"v":{FORMAT},"id":"{id}","time":{},"events":["#,
        time.as_millis()
    );
    let mut payload =
        Vec::with_capacity(header.len() + events.iter().map(|e| e.len() + 1).sum::<usize>() + 2);
    payload.extend_from_slice(header.as_bytes());
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            payload.push(b',');
        }
        payload.extend_from_slice(event.as_bytes());
    }
    payload.extend_from_slice(b"]}");
    payload.into()
}

/// Writes and reads commits, sealing and opening what people wrote.
#[derive(Clone)]
pub struct Codec {
    vault: Vault,
    /// Where the parts of large commits are.
    log: Option<Arc<dyn EventLog>>,
    /// Types that are not decoded although they are known.
    unknown: Arc<HashSet<String>>,
    decoded: Decoded,
}

impl Codec {
    /// A codec over these keys.
    #[must_use]
    pub fn new(keys: Arc<dyn KeyStore>) -> Self {
        Self {
            vault: Vault::new(keys),
            log: None,
            unknown: Arc::default(),
            decoded: Decoded::default(),
        }
    }

    /// The same, for this log: it reads commits in parts, too.
    #[must_use]
    pub fn over(self, log: Arc<dyn EventLog>) -> Self {
        Self {
            log: Some(log),
            ..self
        }
    }

    /// The codec of a version that did not know these types yet: to rehearse a rolling upgrade.
    #[must_use]
    pub fn without_types(self, types: impl IntoIterator<Item = String>) -> Self {
        Self {
            unknown: Arc::new(types.into_iter().collect()),
            ..self
        }
    }

    /// Writes events of one commit, the first of them at `index`. Keys that are missing are drawn.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the keys are away.
    pub async fn encode(
        &self,
        tenant: &TenantId,
        commit: CommitId,
        index: usize,
        drafts: &[Draft],
    ) -> Result<Vec<String>, KeysUnavailable> {
        let written: Vec<_> = drafts.iter().map(|draft| types::write(&draft.event)).collect();
        let mut authors: Vec<_> = written
            .iter()
            .filter_map(|w| w.sealed.as_ref())
            .map(|(author, _)| author.clone())
            .collect();
        authors.sort_unstable();
        authors.dedup();
        let keys = self.vault.keys_of(tenant, &authors).await?;
        let mut encoded = Vec::with_capacity(drafts.len());
        for (offset, (draft, written)) in drafts.iter().zip(written).enumerate() {
            let id = event_id(commit, index + offset);
            let sealed = written.sealed.and_then(|(author, body)| {
                let key = &keys[authors.binary_search(&author).ok()?];
                Some(sealing::seal(key, id, written.event_type, &body))
            });
            let event = WireEvent {
                event_type: written.event_type.into(),
                version: draft.version,
                actor: draft.actor.clone(),
                command_id: draft.command.map(|command| command.id),
                fingerprint: draft.command.map(|command| command.fingerprint),
                causation_id: draft.trace.causation_id,
                correlation_id: draft.trace.correlation_id.clone(),
                traceparent: draft.trace.traceparent.clone(),
                data: std::borrow::Cow::Owned(written.data),
                sealed,
            };
            encoded.push(serde_json::to_string(&event).map_err(|e| KeysUnavailable(e.to_string()))?);
        }
        Ok(encoded)
    }

    /// Reads records. The keys of all of them are looked up at once.
    ///
    /// # Errors
    /// [`DecodeError`] for the first record that cannot be decoded.
    pub async fn decode(&self, records: &[Record]) -> Result<Vec<Commit>, DecodeError> {
        let known = self.decoded.find(records);
        let is_new = |(record, known): (&Record, &Option<Commit>)| known.is_none().then(|| record.clone());
        let new: Vec<_> = records.iter().zip(&known).filter_map(is_new).collect();
        let decoded = self.parse_and_open(&new).await?;
        self.decoded.keep(&new, &decoded);
        let mut decoded = decoded.into_iter();
        let commits = known
            .into_iter()
            .filter_map(|known| known.or_else(|| decoded.next()));
        Ok(commits.collect())
    }

    async fn parse_and_open(&self, records: &[Record]) -> Result<Vec<Commit>, DecodeError> {
        let mut parsed = Vec::with_capacity(records.len());
        let mut joined = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let commit = parse(record)?;
            if !commit.parts.is_empty() {
                joined.push((index, self.joined(record, &commit).await?));
            }
            parsed.push((record, commit));
        }
        if !joined.is_empty() {
            drop(parsed);
            let mut records = records.to_vec();
            joined
                .into_iter()
                .for_each(|(index, whole)| records[index] = whole);
            return Box::pin(self.parse_and_open(&records)).await;
        }
        let names: HashSet<_> = parsed
            .iter()
            .flat_map(|(_, commit)| commit.events.iter())
            .filter_map(|event| event.sealed.as_ref().map(|sealed| sealed.key))
            .collect();
        let keys = self.vault.keys_named(names).await?;
        parsed
            .into_iter()
            .map(|(record, wire)| {
                let mut events = Vec::with_capacity(wire.events.len());
                for (index, event) in wire.events.into_iter().enumerate() {
                    if self.unknown.contains(&*event.event_type) {
                        let error = types::ReadEventError::UnknownType(event.event_type.into_owned());
                        return Err(undecodable(record, error));
                    }
                    let id = event_id(wire.id, index);
                    let body = event
                        .sealed
                        .as_ref()
                        .map(|sealed| sealing::open(&keys, id, &event.event_type, sealed))
                        .transpose()
                        .map_err(|error| undecodable(record, error))?;
                    let happened = types::read(&event.event_type, &event.data, body)
                        .map_err(|error| undecodable(record, error))?;
                    if !belongs(&happened, &record.stream) {
                        return Err(undecodable(record, "an event of another kind of stream"));
                    }
                    events.push(Recorded {
                        id,
                        version: event.version,
                        actor: event.actor,
                        command: event
                            .command_id
                            .zip(event.fingerprint)
                            .map(|(id, fingerprint)| CommandTag { id, fingerprint }),
                        trace: Trace {
                            causation_id: event.causation_id,
                            correlation_id: event.correlation_id,
                            traceparent: event.traceparent,
                        },
                        event: happened,
                    });
                }
                Ok(Commit {
                    id: wire.id,
                    shard: record.shard,
                    sequence: record.sequence,
                    stream: record.stream.clone(),
                    time: wire.time,
                    events,
                })
            })
            .collect()
    }
}

fn parse(record: &Record) -> Result<WireCommit<'_>, DecodeError> {
    let commit: WireCommit<'_> = serde_json::from_slice(&record.payload)
        // The error's own text could quote what people wrote; its place in the record cannot.
        .map_err(|e| undecodable(record, format!("malformed JSON at column {}", e.column())))?;
    if commit.v != FORMAT {
        return Err(undecodable(
            record,
            format!("record format {} is unknown", commit.v),
        ));
    }
    let kinds = [
        !commit.events.is_empty(),
        commit.part.is_some(),
        !commit.parts.is_empty(),
    ];
    if kinds.into_iter().filter(|is| *is).count() != 1 {
        return Err(undecodable(
            record,
            "a commit must have exactly one of events, part and parts",
        ));
    }
    Ok(commit)
}

const fn belongs(event: &Event, stream: &Stream) -> bool {
    matches!(
        (event, stream),
        (Event::Conversation(_), Stream::Conversation(..))
            | (Event::Read(_), Stream::Reads(..))
            | (Event::User(_), Stream::User(..))
    )
}

fn undecodable(record: &Record, detail: impl ToString) -> DecodeError {
    DecodeError::Undecodable {
        shard: record.shard,
        sequence: record.sequence,
        detail: detail.to_string(),
    }
}
