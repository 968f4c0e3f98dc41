//! What the server answers: the models of the public API, as a client of it declares them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A conversation as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct Conversation {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub avatar: Option<String>,
    pub owner_id: Option<String>,
    pub last_message: Option<String>,
    pub last_message_at: Option<String>,
    pub is_archived: bool,
    pub created_at: String,
    pub updated_at: String,
    pub unread_count: u64,
    pub role: String,
    pub is_muted: bool,
    pub muted_until: Option<String>,
    pub member_count: u64,
    pub members: Vec<Member>,
}

/// A member of a conversation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct Member {
    pub user_id: String,
    pub role: String,
    pub joined_at: String,
    pub last_read_at: Option<String>,
    pub is_active: bool,
    pub user: User,
}

/// A user's profile.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct User {
    pub id: String,
    pub name: Option<String>,
    pub avatar: Option<String>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct Message {
    pub id: String,
    pub conversation_id: String,
    pub from_user_id: String,
    pub content: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
    pub reply_to_id: Option<String>,
    pub is_edited: bool,
    pub edited_at: Option<String>,
    pub is_deleted: bool,
    pub deleted_at: Option<String>,
    pub deleted_for_everyone: bool,
    pub created_at: String,
    pub updated_at: String,
    pub ordinal: u64,
}

/// A page of messages, oldest first.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct MessagePage {
    pub data: Vec<Message>,
    pub has_more: bool,
    pub next_cursor: Option<String>,
    pub prev_cursor: Option<String>,
}

/// Where a page of a list ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct Pagination {
    pub limit: u64,
    pub has_more: bool,
    pub next_cursor: Option<String>,
    pub total: Option<u64>,
}

/// A page of the conversation list.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct ConversationPage {
    pub data: Vec<Conversation>,
    pub pagination: Pagination,
}

/// A page of search hits.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct SearchPage {
    pub data: Vec<Message>,
    pub pagination: Pagination,
    pub facets: Facets,
}

/// How the hits of a search divide.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the reference")]
pub struct Facets {
    pub by_type: BTreeMap<String, u64>,
    pub by_user: BTreeMap<String, u64>,
    pub by_conversation: BTreeMap<String, u64>,
}

/// The fields of a JSON object, in order: what a shape is, beyond what a lenient client needs.
///
/// # Panics
/// If it is not an object.
#[must_use]
pub fn fields(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Parses a time of the API: RFC 3339, in UTC.
///
/// # Panics
/// If it is something else.
pub fn instant(text: &str) -> OffsetDateTime {
    assert!(text.ends_with('Z'), "{text} is not in UTC");
    OffsetDateTime::parse(text, &Rfc3339).unwrap_or_else(|e| panic!("{text} is not RFC 3339: {e}"))
}
