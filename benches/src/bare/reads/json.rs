//! Rows as clients get them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{ConversationId, MessageId};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::rows::{ConversationRow, MemberRow, MessageRow};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Messages<'a> {
    pub(super) data: Vec<Message<'a>>,
    pub(super) has_more: bool,
    pub(super) next_cursor: Option<MessageId>,
    pub(super) prev_cursor: Option<MessageId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    pub(super) id: MessageId,
    conversation_id: ConversationId,
    ordinal: i64,
    from_user_id: &'a str,
    content: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'a str,
    reply_to_id: Option<MessageId>,
    is_edited: bool,
    edited_at: Option<Time>,
    is_deleted: bool,
    deleted_at: Option<Time>,
    deleted_for_everyone: bool,
    created_at: Time,
    updated_at: Time,
}

impl<'a> Message<'a> {
    pub(super) fn of(
        row: &'a MessageRow,
        (conversation_id, id): (ConversationId, MessageId),
        reply_to_id: Option<MessageId>,
    ) -> Self {
        Self {
            id,
            conversation_id,
            ordinal: row.ordinal,
            from_user_id: &row.sender_id,
            content: row.content.as_deref(),
            kind: &row.kind,
            reply_to_id,
            is_edited: false,
            edited_at: None,
            is_deleted: false,
            deleted_at: None,
            deleted_for_everyone: false,
            created_at: Time(row.sent_at),
            updated_at: Time(row.sent_at),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Page<'a> {
    pub(super) data: Vec<Conversation<'a>>,
    pub(super) pagination: Pagination,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pagination {
    pub(super) limit: i64,
    pub(super) has_more: bool,
    pub(super) next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Conversation<'a> {
    id: ConversationId,
    #[serde(rename = "type")]
    kind: &'a str,
    name: Option<&'a str>,
    description: Option<&'a str>,
    avatar: Option<&'a str>,
    owner_id: Option<&'a str>,
    last_message: Option<&'a str>,
    last_message_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
    unread_count: i64,
    is_archived: bool,
    is_muted: bool,
    muted_until: Option<Time>,
    member_count: i64,
    members: Vec<Member<'a>>,
    #[serde(skip)]
    activity_at: i64,
}

impl<'a> Conversation<'a> {
    pub(super) fn of(row: &'a ConversationRow) -> anyhow::Result<Self> {
        Ok(Self {
            id: row.id()?,
            kind: &row.kind,
            name: row.name.as_deref(),
            description: row.description.as_deref(),
            avatar: row.avatar.as_deref(),
            owner_id: row.owner_id.as_deref(),
            last_message: row.last_message.as_deref(),
            last_message_at: row.last_message_at.map(Time),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
            unread_count: row.unread_count,
            is_archived: false,
            is_muted: false,
            muted_until: None,
            member_count: row.member_count,
            members: row.members.iter().map(Member::of).collect(),
            activity_at: row.activity_at,
        })
    }

    /// Where the page after this conversation begins.
    pub(super) fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{}", self.activity_at, self.id))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member<'a> {
    user_id: &'a str,
    role: &'a str,
    joined_at: Time,
    last_read_at: Option<Time>,
    is_active: bool,
    user: User<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    name: Option<&'a str>,
    avatar: Option<&'a str>,
}

impl<'a> Member<'a> {
    fn of(row: &'a MemberRow) -> Self {
        Self {
            user_id: &row.user_id,
            role: &row.role,
            joined_at: Time(row.joined_at),
            last_read_at: row.last_read_at.map(Time),
            is_active: true,
            user: User {
                id: &row.user_id,
                name: row.name.as_deref(),
                avatar: row.avatar.as_deref(),
            },
        }
    }
}

/// Milliseconds after the Unix epoch.
struct Time(i64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        ))
    }
}
