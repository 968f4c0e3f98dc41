//! The conversation list and single conversations.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use domain::conversation::Kind;
use projections::view::{ListCursor, ListFilter, ListRange};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{App, now};
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{ConversationPath, Query, flag, page_limit};
use crate::openapi::values;
use crate::wire::{Conversation, Page, Pagination};

const DEFAULT_LIMIT: u32 = 20;
/// The most characters of a name that is searched for.
const MAX_TEXT: usize = 200;

/// The query of `GET /conversations`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The most conversations of a page.
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// The `nextCursor` of the page before.
    #[param(value_type = Option<values::Cursor>, nullable = false)]
    cursor: Option<String>,
    /// Direct ones or groups.
    #[serde(rename = "type")]
    #[param(value_type = Option<values::Kind>, nullable = false)]
    kind: Option<String>,
    /// Put away or not; also `isArchived`.
    #[serde(alias = "isArchived")]
    #[param(value_type = Option<bool>, nullable = false)]
    archived: Option<String>,
    /// Muted or not; also `isMuted`.
    #[serde(alias = "isMuted")]
    #[param(value_type = Option<bool>, nullable = false)]
    muted: Option<String>,
    /// With something unread or without; also `hasUnread`.
    #[serde(alias = "hasUnread")]
    #[param(value_type = Option<bool>, nullable = false)]
    unread: Option<String>,
    /// A part of the name of a group or of another member, however it is accented; also `q`.
    #[serde(alias = "q")]
    #[param(nullable = false, max_length = 200, pattern = r"^[^\x00]*$")]
    search: Option<String>,
}

impl ListQuery {
    fn filter(&self) -> Result<ListFilter, ApiError> {
        let kind = match self.kind.as_deref() {
            None => None,
            Some("DIRECT") => Some(Kind::Direct),
            Some("GROUP") => Some(Kind::Group),
            Some(_) => {
                return Err(ApiError::invalid(
                    "validation_failed",
                    "type must be DIRECT or GROUP",
                ));
            }
        };
        let text = self.search.clone().filter(|text| !text.is_empty());
        let is_name = |text: &String| text.chars().count() <= MAX_TEXT && !text.contains('\0');
        if !text.as_ref().is_none_or(is_name) {
            return Err(ApiError::invalid(
                "validation_failed",
                format!("search must have at most {MAX_TEXT} characters, and U+0000 is none"),
            ));
        }
        Ok(ListFilter {
            kind,
            archived: flag("archived", self.archived.as_deref())?,
            muted: flag("muted", self.muted.as_deref())?,
            unread: flag("unread", self.unread.as_deref())?,
            text,
        })
    }
}

/// `GET /conversations`: newest activity first, and only those that are as asked for.
///
/// # Errors
/// 400 for a cursor that is none, 422 for a limit beyond its range and for filters that say nothing.
#[utoipa::path(
    get, path = "/conversations", operation_id = "listConversations", tag = "Conversations",
    params(ListQuery),
    responses((status = 200, description = "A page of conversations", body = Page<Conversation>)),
    extensions(("x-refusals" = json!(["400 invalid_cursor", "422 validation_failed"])))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<Conversation>>, ApiError> {
    let limit = page_limit(query.limit.as_deref(), DEFAULT_LIMIT)?;
    let range = ListRange {
        limit,
        after: query.cursor.as_deref().map(decode_cursor).transpose()?,
        filter: &query.filter()?,
    };
    let page = app
        .read_model
        .conversations(&identity.tenant, &identity.user, range, now())
        .await?;
    let next_cursor = page
        .items
        .last()
        .filter(|_| page.has_more)
        .map(|last| encode_cursor(last.cursor()));
    Ok(axum::Json(Page {
        data: page.items.into_iter().map(Conversation::from).collect(),
        pagination: Pagination {
            limit,
            has_more: page.has_more,
            next_cursor,
            total: None,
        },
    }))
}

/// What a user's conversations are, in numbers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConversationStats)]
pub struct Stats {
    total: u64,
    direct: u64,
    group: u64,
    archived: u64,
    muted: u64,
    unread_conversations: u64,
    unread_messages: u64,
}

/// `GET /conversations/stats`: all of one's conversations, in numbers.
///
/// # Errors
/// 503 when the read model is away.
#[utoipa::path(
    get, path = "/conversations/stats", operation_id = "countConversations", tag = "Conversations",
    responses((status = 200, description = "The numbers", body = Stats)),
)]
pub async fn stats(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
) -> Result<axum::Json<Stats>, ApiError> {
    let stats = app
        .read_model
        .conversation_stats(&identity.tenant, &identity.user, now())
        .await?;
    Ok(axum::Json(Stats {
        total: stats.total,
        direct: stats.direct,
        group: stats.total - stats.direct,
        archived: stats.archived,
        muted: stats.muted,
        unread_conversations: stats.unread_conversations,
        unread_messages: stats.unread_messages,
    }))
}

/// `GET /conversations/{id}`: a conversation as who asks sees it.
///
/// # Errors
/// 404 for a conversation that does not exist for this user.
#[utoipa::path(
    get, path = "/conversations/{id}", operation_id = "getConversation", tag = "Conversations",
    params(ConversationPath),
    responses((status = 200, description = "The conversation", body = Conversation)),
    extensions(("x-refusals" = json!(["404 conversation_not_found"])))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    ConversationPath(id): ConversationPath,
) -> Result<axum::Json<Conversation>, ApiError> {
    let view = app
        .read_model
        .conversation(&identity.tenant, &identity.user, id, now())
        .await?;
    Ok(axum::Json(view.ok_or_else(ApiError::not_found)?.into()))
}

fn encode_cursor(cursor: ListCursor) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{}", cursor.activity_at.as_millis(), cursor.id))
}

fn decode_cursor(text: &str) -> Result<ListCursor, ApiError> {
    let error = || ApiError::bad_request("invalid_cursor", "the cursor is not one of this list");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| error())?;
    let text = String::from_utf8(bytes).map_err(|_| error())?;
    let (activity, id) = text.split_once(':').ok_or_else(error)?;
    Ok(ListCursor {
        activity_at: Timestamp::from_millis(activity.parse().map_err(|_| error())?),
        id: id.parse().map_err(|_| error())?,
    })
}

#[cfg(test)]
mod tests {
    use domain::ConversationId;

    use super::*;

    #[test]
    fn cursors_round_trip_and_nothing_else_is_one() {
        let cursor = ListCursor {
            activity_at: Timestamp::from_millis(42),
            id: ConversationId::from_bytes([1; 16]),
        };
        assert_eq!(decode_cursor(&encode_cursor(cursor)).unwrap(), cursor);
        for bad in [
            "",
            "x",
            "!!!",
            &URL_SAFE_NO_PAD.encode("1:x"),
            &URL_SAFE_NO_PAD.encode([0xff, 0xfe]),
        ] {
            assert!(decode_cursor(bad).is_err(), "{bad}");
        }
    }
}
