//! From an event of the log to a change of the index.

use domain::conversation::{Event as Happened, MessageKind};
use domain::values::Content;
use domain::{MessageId, TenantId, Timestamp, UserId};
use eventstore::{Commit, Event, Stream};
use tantivy::TantivyDocument;
use tantivy::Term;

use crate::schema::Fields;

const INDEX_BITS: u32 = 14;
const SHARD_BITS: u32 = 8;
const SEQUENCE_BITS: u32 = u64::BITS - SHARD_BITS - INDEX_BITS;

/// What one event changes. The message as the index may have it goes first, so that taking in the same event
/// twice is taking it in once.
#[derive(Debug)]
pub(crate) struct Change {
    /// The message as a term of the field `id`.
    pub(crate) id: String,
    /// Whether this is the first that is heard of the message.
    pub(crate) is_first: bool,
    /// The message as it is now; `None` when nothing of it can be read any more.
    pub(crate) document: Option<TantivyDocument>,
}

/// A commit lies beyond what a rank can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "event {index} of the commit at sequence {sequence} of shard {shard} is beyond the ranks of the index"
)]
pub(crate) struct OutOfRank {
    shard: u16,
    sequence: u64,
    index: usize,
}

/// The place of a message among all: unique, and rising with the log.
///
/// From the highest bit: 42 bits of the record's sequence, 8 of its shard, 14 of the event's place in its
/// commit. The last are enough for ever, because a commit of 256 KiB would need events of 16 bytes to
/// fill them, and 256 shards are as many as there are partitions.
///
/// Within a shard ranks rise in the order of the log. Between shards the sequence says little about time:
/// so the time a commit was recorded is a column of its own that is compared first, and the rank breaks
/// the ties.
///
/// # Errors
/// [`OutOfRank`] beyond 2^42 records or 256 shards.
pub(crate) fn rank(shard: u16, sequence: u64, index: usize) -> Result<u64, OutOfRank> {
    let fits = sequence >> SEQUENCE_BITS == 0 && shard >> SHARD_BITS == 0 && index >> INDEX_BITS == 0;
    if fits {
        Ok(sequence << (SHARD_BITS + INDEX_BITS) | u64::from(shard) << INDEX_BITS | index as u64)
    } else {
        Err(OutOfRank {
            shard,
            sequence,
            index,
        })
    }
}

/// A message as a term of the field `id`. With the tenant in it no tenant's message can ever replace
/// another's, whatever their conversations are called. A message id has no `/`.
fn id_term(tenant: &TenantId, id: MessageId) -> String {
    format!("{tenant}/{id}")
}

/// What a commit changes, in the order of its events.
///
/// # Errors
/// [`OutOfRank`] when the commit lies beyond what a rank can say.
pub(crate) fn changes(fields: &Fields, commit: &Commit) -> Result<Vec<Change>, OutOfRank> {
    let mut changes = Vec::with_capacity(commit.events.len());
    let Stream::Conversation(tenant, conversation) = &commit.stream else {
        return Ok(changes);
    };
    // Before 1970 nothing was recorded.
    let at = |time: Timestamp| u64::try_from(time.as_millis()).unwrap_or(0);
    for (index, recorded) in commit.events.iter().enumerate() {
        let Event::Conversation(event) = &recorded.event else {
            continue;
        };
        let (ordinal, text) = match event {
            Happened::MessageSent(message) => {
                let content = message.body.readable().and_then(|body| body.content.as_ref());
                let text = content.map(|content| Text {
                    sender: &message.sender,
                    kind: message.kind,
                    sent_at: message.sent_at,
                    recorded_at: at(commit.time),
                    content,
                });
                (message.ordinal, text)
            }
            // It keeps its place among the others: that of a message that was not imported.
            Happened::MessageEdited(edit) => {
                let text = edit.content.readable().map(|content| Text {
                    sender: &edit.sender,
                    kind: MessageKind::Text,
                    sent_at: edit.sent_at,
                    recorded_at: at(edit.sent_at),
                    content,
                });
                (edit.message, text)
            }
            Happened::MessageDeleted { message, .. } => (*message, None),
            _ => continue,
        };
        let id = MessageId {
            conversation: *conversation,
            ordinal,
        };
        let rank = rank(commit.shard, commit.sequence, index)?;
        changes.push(Change {
            id: id_term(tenant, id),
            is_first: matches!(event, Happened::MessageSent(_)),
            document: text.map(|text| document(fields, tenant, id, &text, rank)),
        });
    }
    Ok(changes)
}

/// What of a message is searched for.
struct Text<'a> {
    sender: &'a UserId,
    kind: MessageKind,
    sent_at: Timestamp,
    recorded_at: u64,
    content: &'a Content,
}

fn document(
    fields: &Fields,
    tenant: &TenantId,
    id: MessageId,
    text: &Text<'_>,
    rank: u64,
) -> TantivyDocument {
    let mut document = TantivyDocument::new();
    document.add_text(fields.id, id_term(tenant, id));
    document.add_text(fields.tenant, tenant.as_str());
    document.add_text(fields.conversation, id.conversation.to_string());
    document.add_text(fields.user, text.sender.as_str());
    document.add_text(fields.kind, text.kind.as_str());
    document.add_u64(fields.ordinal, id.ordinal.get());
    document.add_i64(fields.sent_at, text.sent_at.as_millis());
    document.add_u64(fields.recorded_at, text.recorded_at);
    document.add_u64(fields.rank, rank);
    document.add_text(fields.text, text.content.as_str());
    document
}

impl Change {
    /// The term that names the message.
    pub(crate) fn term(&self, fields: &Fields) -> Term {
        Term::from_field_text(fields.id, &self.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pinned: cursors that clients hold are ranks.
    #[test]
    fn ranks_never_change() {
        assert_eq!(rank(0, 1, 0), Ok(1 << 22));
        assert_eq!(rank(3, 5, 7), Ok(5 << 22 | 3 << 14 | 7));
    }

    #[test]
    fn what_a_rank_cannot_say_is_refused() {
        assert!(rank(255, (1 << 42) - 1, (1 << 14) - 1).is_ok());
        assert!(rank(0, 1 << 42, 0).is_err());
        assert!(rank(256, 0, 0).is_err());
        assert!(rank(0, 0, 1 << 14).is_err());
    }

    proptest! {
        #[test]
        fn ranks_rise_with_the_log(a in (0..1u64 << 42, 0..1usize << 14), b in (0..1u64 << 42, 0..1usize << 14)) {
            prop_assert_eq!(rank(9, a.0, a.1)?.cmp(&rank(9, b.0, b.1)?), a.cmp(&b));
        }
    }
}
