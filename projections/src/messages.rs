//! Messages: a row each, in the order of their conversation, with what became of them: texts they had before,
//! reactions to them, and for whom they are hidden.

use domain::conversation::{Body, Edit, Message, MessageKind};
use domain::values::Emoji;
use domain::{ConversationId, MessageId, Ordinal, Private, TenantId, Timestamp, UserId};

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
    /// Its text; `None` when erased or deleted.
    pub content: Option<String>,
    /// The message it answers.
    pub reply_to: Option<Ordinal>,
    /// When it was sent, as people see it.
    pub sent_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// How often its text was written anew.
    pub edits: u64,
    /// When the last time.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted for everyone.
    pub deleted_at: Option<Timestamp>,
    /// The version of the newest event that is in this row.
    pub version: u64,
    /// Its files, as a JSON array; `None` when it has none, or they were erased or deleted.
    pub attachments: Option<String>,
    /// Its sticker, place or contact, as JSON; `None` as above.
    pub card: Option<String>,
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
        let body = match message.body {
            Private::Readable(body) => body,
            Private::Erased => Body::default(),
        };
        let files = Some(&body.attachments).filter(|files| !files.is_empty());
        Self {
            attachments: files.and_then(|files| serde_json::to_string(files).ok()),
            card: body
                .card
                .as_ref()
                .and_then(|card| serde_json::to_string(card).ok()),
            content: body.content.map(String::from),
            conversation,
            ordinal: message.ordinal,
            sender: message.sender,
            sender_seq,
            kind: message.kind,
            reply_to: message.reply_to,
            sent_at: message.sent_at,
            recorded_at,
            edits: 0,
            edited_at: None,
            deleted_at: None,
            version,
        }
    }

    /// Takes on a new text, and answers the one that it had.
    pub(crate) fn edited(&mut self, edit: Edit, version: u64, at: Timestamp) -> VersionRow {
        let content = match edit.content {
            Private::Readable(content) => Some(content.into()),
            Private::Erased => None,
        };
        let before = VersionRow {
            message: self.id(),
            number: self.edits,
            content: std::mem::replace(&mut self.content, content),
            written_at: self.edited_at.unwrap_or(self.sent_at),
        };
        self.edits += 1;
        self.edited_at = Some(at);
        self.version = version;
        before
    }

    /// Is deleted for everyone: what it said is gone.
    pub(crate) fn deleted(&mut self, version: u64, at: Timestamp) {
        (self.content, self.attachments, self.card) = (None, None, None);
        self.deleted_at = Some(at);
        self.version = version;
    }

    /// The message's id.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        MessageId {
            conversation: self.conversation,
            ordinal: self.ordinal,
        }
    }
}

/// A text that a message had before it was written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The message.
    pub message: MessageId,
    /// 0 is the text that was sent.
    pub number: u64,
    /// The text; `None` when erased.
    pub content: Option<String>,
    /// When it was written, as people see it.
    pub written_at: Timestamp,
}

/// Whose reaction to which message.
pub type ReactionKey = (MessageId, UserId, Emoji);

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionRow {
    /// Whose, to what, and what.
    pub key: ReactionKey,
    /// When it was recorded.
    pub added_at: Timestamp,
}

/// A message that a user does not see any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HiddenRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The message.
    pub message: MessageId,
}
