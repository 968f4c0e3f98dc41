//! Commits that are larger than a record. Their events are written ahead of them, in parts, and the commit
//! itself says where the parts are: what it holds takes effect with it, all at once, or never.
//!
//! A part is a record of the same stream and by itself a commit without events. One that no commit names is
//! left over from an attempt that did not come to its end, and means nothing.

use bytes::Bytes;
use domain::{CommitId, Timestamp};

use super::{Codec, DecodeError, FORMAT, WireCommit, assemble, parse, undecodable};
use crate::log::{MAX_COMMIT_BYTES, Record};

/// The most parts of a commit.
pub const MAX_PARTS: usize = 32;

/// Bytes of the events in one part. As a JSON text it may need twice as many.
const PART_BYTES: usize = MAX_COMMIT_BYTES / 2 - 1024;

/// Cuts the events of one commit, which are too large for a record; `None` when they would be too many parts.
#[must_use]
pub fn split(events: &[String]) -> Option<Vec<String>> {
    let text = events.join(",");
    let mut parts = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.floor_char_boundary(PART_BYTES));
        parts.push(part.to_owned());
        rest = after;
    }
    (parts.len() <= MAX_PARTS).then_some(parts)
}

/// Writes a part that [`split`] cut.
#[must_use]
pub fn assemble_part(id: CommitId, time: Timestamp, part: &str) -> Bytes {
    let part = serde_json::Value::from(part);
    let time = time.as_millis();
    format!(r#"{{"v":{FORMAT},"id":"{id}","time":{time},"part":{part}}}"#).into()
}

/// Writes a commit whose events are in the records with these sequences.
#[must_use]
pub fn assemble_of_parts(id: CommitId, time: Timestamp, parts: &[u64]) -> Bytes {
    let time = time.as_millis();
    let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
    let parts = parts.join(",");
    format!(r#"{{"v":{FORMAT},"id":"{id}","time":{time},"parts":[{parts}]}}"#).into()
}

impl Codec {
    /// The record as it would be if a record could be as large as its commit.
    pub(super) async fn joined(
        &self,
        record: &Record,
        commit: &WireCommit<'_>,
    ) -> Result<Record, DecodeError> {
        let parts = &commit.parts;
        let log = self.log.as_ref().filter(|_| parts.len() <= MAX_PARTS);
        let log = log.ok_or_else(|| undecodable(record, "its parts cannot be read here"))?;
        let mut text = String::new();
        for sequence in parts {
            let after = sequence.saturating_sub(1);
            let found = log.read_stream(&record.stream, after, 1).await?;
            let part = found.first().filter(|found| found.sequence == *sequence);
            let part = part.ok_or_else(|| undecodable(record, "a part of it is missing"))?;
            let part = parse(part)?.part;
            text += &part.ok_or_else(|| undecodable(record, "what it calls a part is none"))?;
        }
        Ok(Record {
            payload: assemble(commit.id, commit.time, &[text]),
            ..record.clone()
        })
    }
}
