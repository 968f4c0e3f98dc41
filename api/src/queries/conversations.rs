//! The conversation list and single conversations.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use domain::conversation::Kind;
use projections::view::{ListCursor, ListFilter, ListRange};
use serde::{Deserialize, Serialize};

use crate::app::{App, now};
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{ConversationPath, Query, flag, page_limit};
use crate::wire::{Conversation, Page, Pagination};

const DEFAULT_LIMIT: u32 = 20;
/// The most characters of a name that is searched for.
const MAX_TEXT: usize = 200;

/// The query of `GET /conversations`.
#[derive(Deserialize)]
pub struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(alias = "isArchived")]
    archived: Option<String>,
    #[serde(alias = "isMuted")]
    muted: Option<String>,
    #[serde(alias = "hasUnread")]
    unread: Option<String>,
    #[serde(alias = "q")]
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    total: u64,
    direct: u64,
    group: u64,
    archived: u64,
    muted: u64,
    unread_conversations: u64,
    unread_messages: u64,
}

/// `GET /conversations/stats`.
///
/// # Errors
/// 503 when the read model is away.
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

/// `GET /conversations/{id}`.
///
/// # Errors
/// 404 for a conversation that does not exist for this user.
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
