//! Messages: a row each, in the order of their conversation.

use domain::conversation::{Message, MessageKind};
use domain::{ConversationId, Ordinal, Private, Timestamp, UserId};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its number there.
    pub ordinal: Ordinal,
    /// Who sent it.
    pub sender: UserId,
    /// That it is the sender's n-th message here.
    pub sender_seq: u64,
    /// Its type.
    pub kind: MessageKind,
    /// Its text; `None` when erased.
    pub content: Option<String>,
    /// The message it answers.
    pub reply_to: Option<Ordinal>,
    /// When it was sent, as people see it.
    pub sent_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The version of the newest event that is in this row.
    pub version: u64,
}

impl MessageRow {
    /// A message that was just sent.
    pub(crate) fn sent(
        conversation: ConversationId,
        message: Message,
        sender_seq: u64,
        version: u64,
        recorded_at: Timestamp,
    ) -> Self {
        let content = match message.body {
            Private::Readable(body) => Some(body.content.into()),
            Private::Erased => None,
        };
        Self {
            conversation,
            ordinal: message.ordinal,
            sender: message.sender,
            sender_seq,
            kind: message.kind,
            content,
            reply_to: message.reply_to,
            sent_at: message.sent_at,
            recorded_at,
            version,
        }
    }
}
