//! The shapes of the public API that several endpoints share. Field names are those of the reference.

use domain::conversation::body::{Card, File};
use domain::conversation::{Edit, Kind, Message as Sent, MessageKind};
use domain::permission::Role;
use domain::user::Status;
use domain::{ConversationId, MessageId, Timestamp, UserId};
use projections::view::{ConversationView, MemberView, MessageView, Profile};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::openapi::{bodies, values};

use crate::app::now;
use crate::attachments::links::Links;

pub mod attachment;
pub mod user_ids;

use attachment::Attachment;

/// RFC 3339 with milliseconds, always: texts of one length sort as the times do.
const MILLIS: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = i128::from(self.0.as_millis()) * 1_000_000;
        let text = OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .filter(|time| time.year() >= 0)
            .and_then(|time| time.format(MILLIS).ok());
        text.ok_or_else(|| serde::ser::Error::custom("a time beyond the calendar"))?
            .serialize(serializer)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        values::Time::schema()
    }
}

impl ToSchema for Time {}

/// A conversation as one of its members sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    #[schema(value_type = values::ConversationId)]
    id: ConversationId,
    #[serde(rename = "type")]
    #[schema(value_type = values::Kind)]
    kind: Kind,
    name: Option<String>,
    description: Option<String>,
    avatar: Option<String>,
    #[schema(value_type = Option<values::UserId>)]
    #[serde(serialize_with = "crate::wire::user_ids::optional")]
    owner_id: Option<UserId>,
    last_message: Option<String>,
    last_message_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
    unread_count: u64,
    #[schema(value_type = values::Role)]
    role: Role,
    is_archived: bool,
    is_muted: bool,
    muted_until: Option<Time>,
    member_count: u64,
    /// The first 20, the longest-standing first.
    #[schema(max_items = 20)]
    members: Vec<Member>,
}

/// A member of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    #[schema(value_type = values::UserId)]
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    user_id: UserId,
    #[schema(value_type = values::Role)]
    role: Role,
    joined_at: Time,
    last_read_at: Option<Time>,
    is_active: bool,
    user: User,
}

impl Conversation {
    /// Whether it is put away.
    #[must_use]
    pub const fn is_archived(&self) -> bool {
        self.is_archived
    }
}

/// What others see of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    #[schema(value_type = values::UserId)]
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    id: UserId,
    name: Option<String>,
    avatar: Option<String>,
}

/// A message.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    #[schema(value_type = values::MessageId)]
    id: MessageId,
    #[schema(value_type = values::ConversationId)]
    conversation_id: ConversationId,
    #[schema(minimum = 1)]
    ordinal: u64,
    #[schema(value_type = values::UserId)]
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    from_user_id: UserId,
    content: Option<String>,
    #[serde(rename = "type")]
    #[schema(value_type = values::MessageType)]
    kind: MessageKind,
    /// Missing where only a new text is at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    attachments: Option<Vec<Attachment>>,
    #[serde(flatten, serialize_with = "card")]
    #[schema(value_type = bodies::Cards)]
    card: Option<Card>,
    #[schema(value_type = Option<values::MessageId>)]
    reply_to_id: Option<MessageId>,
    /// What it answers, as it is now; missing where only the log is at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reply_to: Option<Answered>,
    /// Who reacted with what, in numbers; missing where only the log is at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reactions: Option<Vec<ReactionCount>>,
    is_edited: bool,
    edited_at: Option<Time>,
    is_deleted: bool,
    deleted_at: Option<Time>,
    deleted_for_everyone: bool,
    created_at: Time,
    updated_at: Time,
}

/// A sticker, a place or a contact, whose user is written as users are.
fn card<S: Serializer>(card: &Option<Card>, serializer: S) -> Result<S::Ok, S::Error> {
    let user = match card {
        Some(Card::Contact(contact)) if user_ids::are_numbers() => contact.user_id.as_ref(),
        _ => None,
    };
    let Some(user) = user else {
        return card.serialize(serializer);
    };
    let mut written = serde_json::to_value(card).map_err(serde::ser::Error::custom)?;
    let user = serde_json::to_value(user_ids::Written(user)).map_err(serde::ser::Error::custom)?;
    written["contact"]["userId"] = user;
    written.serialize(serializer)
}

/// A message that another one answers: no more of it than a preview.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    #[schema(value_type = values::MessageId)]
    id: MessageId,
    #[schema(value_type = values::UserId)]
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    from_user_id: UserId,
    content: Option<String>,
    #[serde(rename = "type")]
    #[schema(value_type = values::MessageType)]
    kind: MessageKind,
    is_deleted: bool,
}

/// How many reacted with an emoji.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReactionCount {
    #[schema(value_type = values::Emoji)]
    emoji: String,
    count: u64,
    /// Whether who asks is among them.
    mine: bool,
}

/// Someone's reaction to a message.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// The message.
    #[schema(value_type = values::MessageId)]
    pub message_id: MessageId,
    /// Whose it is.
    #[schema(value_type = values::UserId)]
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    pub user_id: UserId,
    /// What it is.
    #[schema(value_type = values::Emoji)]
    pub emoji: String,
}

/// A user by itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    #[schema(value_type = values::UserId)]
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    id: UserId,
    name: Option<String>,
    avatar: Option<String>,
    /// Whether the user is let in; only backends are told of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = values::Status, required = false)]
    status: Option<Status>,
}

impl Account {
    /// A user who is called so, and whether that user is let in if that is to be told.
    #[must_use]
    pub fn of(id: UserId, profile: Profile, with_status: bool) -> Self {
        Self {
            id,
            name: profile.name,
            avatar: profile.avatar,
            status: with_status.then_some(profile.status),
        }
    }
}

impl From<ConversationView> for Conversation {
    fn from(view: ConversationView) -> Self {
        Self {
            id: view.id,
            kind: view.kind,
            name: view.name,
            description: view.description,
            avatar: view.avatar,
            owner_id: view.owner,
            last_message: view.last_message,
            last_message_at: view.last_message_at.map(Time),
            created_at: Time(view.created_at),
            updated_at: Time(view.updated_at),
            unread_count: view.unread_count,
            role: view.role,
            is_archived: view.is_archived,
            is_muted: view.is_muted,
            muted_until: view.muted_until.map(Time),
            member_count: view.member_count,
            members: view.members.into_iter().map(Member::from).collect(),
        }
    }
}

impl From<MemberView> for Member {
    fn from(view: MemberView) -> Self {
        Self {
            user: User {
                id: view.user_id.clone(),
                name: view.name,
                avatar: view.avatar,
            },
            user_id: view.user_id,
            role: view.role,
            joined_at: Time(view.joined_at),
            last_read_at: view.last_read_at.map(Time),
            is_active: view.is_active,
        }
    }
}

impl Message {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// A message as it was recorded in the log.
    #[must_use]
    pub fn from_sent(conversation: ConversationId, sent: &Sent, links: &Links) -> Self {
        let body = sent.body.readable().cloned().unwrap_or_default();
        let id = |ordinal| MessageId {
            conversation,
            ordinal,
        };
        Self {
            id: id(sent.ordinal),
            conversation_id: conversation,
            ordinal: sent.ordinal.get(),
            from_user_id: sent.sender.clone(),
            content: body.content.map(String::from),
            kind: sent.kind,
            attachments: Some(shown(body.attachments, links)),
            card: body.card,
            reply_to_id: sent.reply_to.map(id),
            reply_to: None,
            reactions: Some(Vec::new()),
            is_edited: false,
            edited_at: None,
            is_deleted: false,
            deleted_at: None,
            deleted_for_everyone: false,
            created_at: Time(sent.sent_at),
            updated_at: Time(sent.sent_at),
        }
    }
}

impl Message {
    /// A message with the text that was just written anew.
    #[must_use]
    pub fn from_edit(conversation: ConversationId, edit: &Edit, at: Timestamp) -> Self {
        let id = |ordinal| MessageId {
            conversation,
            ordinal,
        };
        Self {
            id: id(edit.message),
            conversation_id: conversation,
            ordinal: edit.message.get(),
            from_user_id: edit.sender.clone(),
            content: edit.content.readable().map(|text| text.as_str().to_owned()),
            kind: MessageKind::Text,
            attachments: None,
            card: None,
            reply_to_id: edit.reply_to.map(id),
            reply_to: None,
            reactions: None,
            is_edited: true,
            edited_at: Some(Time(at)),
            is_deleted: false,
            deleted_at: None,
            deleted_for_everyone: false,
            created_at: Time(edit.sent_at),
            updated_at: Time(at),
        }
    }
}

/// Files with fresh URLs.
fn shown(files: Vec<File>, links: &Links) -> Vec<Attachment> {
    if files.is_empty() {
        return Vec::new();
    }
    let now = now();
    files.into_iter().map(|file| links.show(file, now)).collect()
}

impl Message {
    /// A message as the read model has it.
    #[must_use]
    pub fn from_view(view: MessageView, links: &Links) -> Self {
        let conversation = view.id.conversation;
        let reply_to_id = view.reply_to.map(|ordinal| MessageId {
            conversation,
            ordinal,
        });
        let answered = reply_to_id.zip(view.answered).map(|(id, answered)| Answered {
            id,
            from_user_id: answered.sender,
            content: answered.content,
            kind: answered.kind,
            is_deleted: answered.is_deleted,
        });
        let reactions = view.reactions.into_iter().map(|counted| ReactionCount {
            emoji: counted.emoji,
            count: counted.count,
            mine: counted.is_mine,
        });
        // What is deleted was not edited: nothing of either text is left.
        let edited_at = view.edited_at.filter(|_| view.deleted_at.is_none());
        let updated_at = view.deleted_at.or(edited_at).unwrap_or(view.sent_at);
        Self {
            id: view.id,
            conversation_id: conversation,
            ordinal: view.id.ordinal.get(),
            from_user_id: view.sender,
            content: view.content,
            kind: view.kind,
            attachments: Some(shown(view.attachments, links)),
            card: view.card,
            reply_to_id,
            reply_to: answered,
            reactions: Some(reactions.collect()),
            is_edited: edited_at.is_some(),
            edited_at: edited_at.map(Time),
            is_deleted: view.deleted_at.is_some(),
            deleted_at: view.deleted_at.map(Time),
            deleted_for_everyone: view.deleted_at.is_some(),
            created_at: Time(view.sent_at),
            updated_at: Time(updated_at),
        }
    }
}

/// How a list goes on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    /// The most items a page has.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: u32,
    /// Whether there are more.
    pub has_more: bool,
    /// Where the next page begins.
    #[schema(value_type = Option<values::Cursor>)]
    pub next_cursor: Option<String>,
    /// How many there are on all pages, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total: Option<u64>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub data: Vec<T>,
    /// How the list goes on.
    pub pagination: Pagination,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        let json = |millis| serde_json::to_string(&Time(Timestamp::from_millis(millis))).unwrap();
        assert_eq!(json(0), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(json(1_700_000_000_123), "\"2023-11-14T22:13:20.123Z\"");
        assert_eq!(json(1_700_000_000_250), "\"2023-11-14T22:13:20.250Z\"");
        assert_eq!(json(-1), "\"1969-12-31T23:59:59.999Z\"");
    }
}
