//! Pages of a conversation's messages.

use std::sync::Arc;

use axum::extract::State;
use domain::{ConversationId, MessageId};
use projections::view::MessageRange;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{ConversationPath, Query, page_limit};
use crate::wire::Message;

const DEFAULT_LIMIT: u32 = 50;

/// The query of `GET /conversations/{id}/messages`.
#[derive(Deserialize)]
pub struct MessagesQuery {
    limit: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

/// A page of messages, oldest first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Messages {
    data: Vec<Message>,
    has_more: bool,
    /// The newest message of the page: the `after` of the page of newer ones. Of an empty page the one that
    /// was asked with, so that who asks again and again keeps the place.
    next_cursor: Option<MessageId>,
    /// The oldest message of the page: the `before` of the page of older ones. Of an empty page as above.
    prev_cursor: Option<MessageId>,
}

/// `GET /conversations/{id}/messages`: the newest ones, or those next to a message.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 400 for cursors that are none of it, 422
/// for a limit beyond its range.
pub async fn page(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    ConversationPath(conversation): ConversationPath,
    Query(query): Query<MessagesQuery>,
) -> Result<axum::Json<Messages>, ApiError> {
    if query.before.is_some() && query.after.is_some() {
        return Err(ApiError::bad_request(
            "invalid_cursor",
            "before and after cannot be asked for together",
        ));
    }
    let before = cursor(query.before.as_deref(), conversation)?;
    let after = cursor(query.after.as_deref(), conversation)?;
    let range = MessageRange {
        limit: page_limit(query.limit.as_deref(), DEFAULT_LIMIT)?,
        before: before.map(|id| id.ordinal),
        after: after.map(|id| id.ordinal),
    };
    let page = app
        .read_model
        .messages(&identity.tenant, &identity.user, conversation, range)
        .await?;
    let page = page.ok_or_else(ApiError::not_found)?;
    Ok(axum::Json(Messages {
        has_more: page.has_more,
        next_cursor: page.items.last().map_or(after, |message| Some(message.id)),
        prev_cursor: page.items.first().map_or(before, |message| Some(message.id)),
        data: page.items.into_iter().map(Message::from).collect(),
    }))
}

/// A message id as a place in the conversation. Whether the read models have the message is not asked: a
/// client may know it from a socket before they do.
fn cursor(text: Option<&str>, conversation: ConversationId) -> Result<Option<MessageId>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<MessageId>() {
        Ok(id) if id.conversation == conversation => Ok(Some(id)),
        _ => Err(ApiError::bad_request(
            "invalid_cursor",
            "the cursor is not a message of the conversation",
        )),
    }
}
