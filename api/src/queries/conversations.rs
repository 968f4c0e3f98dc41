//! The conversation list and single conversations.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use projections::view::ListCursor;
use serde::Deserialize;

use crate::app::App;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{ConversationPath, Query, page_limit};
use crate::wire::{Conversation, Page, Pagination};

const DEFAULT_LIMIT: u32 = 20;

/// The query of `GET /conversations`.
#[derive(Deserialize)]
pub struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /conversations`: newest activity first.
///
/// # Errors
/// 400 for a cursor that is none, 422 for a limit beyond its range.
pub async fn list(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<Conversation>>, ApiError> {
    let limit = page_limit(query.limit.as_deref(), DEFAULT_LIMIT)?;
    let cursor = query.cursor.as_deref().map(decode_cursor).transpose()?;
    let page = app
        .read_model
        .conversations(&identity.tenant, &identity.user, limit, cursor)
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
        .conversation(&identity.tenant, &identity.user, id)
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
