//! Marking as read, over HTTP and sockets alike.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::conversation::Error;
use domain::conversation::reads::Command;
use eventstore::envelope::Trace;
use eventstore::execute::ExecuteError;
use eventstore::{Position, Stream};
use serde::{Deserialize, Serialize};

use super::trace;
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{Json, conversation_id, message_in};

/// The field that names what was read.
const MESSAGE: &str = "messageId";

/// The body of `POST /conversations/messages/read`, and the data of `mark_as_read`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkRead {
    conversation_id: String,
    message_id: Option<String>,
}

/// What is left unread.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    unread_count: u64,
}

/// `POST /conversations/messages/read`: one message and everything before it, or everything.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 422 for a message that does not.
pub async fn mark_read(
    State(app): State<Arc<App>>,
    identity: Identity,
    headers: HeaderMap,
    Json(body): Json<MarkRead>,
) -> Result<Response, ApiError> {
    let conversation = conversation_id(&body.conversation_id)?;
    let position = mark_as_read(&app, &identity, body, trace(&headers)).await?;
    app.consistency.reach(position).await?;
    let unread = app
        .read_model
        .unread(&identity.tenant, &identity.user, conversation)
        .await?;
    let unread_count = unread.ok_or_else(ApiError::not_found)?;
    Ok(At(position, axum::Json(Unread { unread_count })).into_response())
}

/// Moves the user's mark, and says where in the log that is.
///
/// # Errors
/// As [`mark_read`].
pub async fn mark_as_read(
    app: &App,
    identity: &Identity,
    body: MarkRead,
    trace: Trace,
) -> Result<Position, ApiError> {
    let conversation = conversation_id(&body.conversation_id)?;
    let message = body
        .message_id
        .map(|id| message_in(MESSAGE, &id, conversation))
        .transpose()?;
    let stream = Stream::Conversation(identity.tenant.clone(), conversation);
    let command = Command::MarkRead(message.map(|id| id.ordinal));
    let marked = app.reads.mark(&stream, &identity.user, command, trace).await;
    let marked = marked.map_err(|error| match error {
        ExecuteError::Refused(Error::NoSuchMessage(_)) => ApiError::no_such_message(MESSAGE),
        error => error.into(),
    })?;
    app.consistency.wrote(identity, marked.position);
    Ok(marked.position)
}
