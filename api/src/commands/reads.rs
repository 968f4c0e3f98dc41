//! Marking as read, over HTTP and sockets alike.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::conversation::Error;
use domain::conversation::reads::Command;
use domain::{ClientId, ConversationId, MessageId, Ordinal};
use eventstore::envelope::Trace;
use eventstore::execute::ExecuteError;
use eventstore::{Position, Stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::repeats::{Keyed, Original};
use super::trace;
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{Json, conversation_id, idempotency_key, message_in};
use crate::openapi::values;

/// The field that names what was read.
const MESSAGE: &str = "messageId";

/// The body of `POST /conversations/messages/read`, and the data of `mark_as_read`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"conversationId": "01JD3V2Q8Y6W4K9TZ0M5XB7CRA"}))]
pub struct MarkRead {
    #[schema(value_type = values::ConversationId)]
    conversation_id: String,
    /// Everything, if it is missing.
    #[schema(value_type = Option<values::MessageId>)]
    message_id: Option<String>,
}

/// What is left unread.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    unread_count: u64,
}

/// `POST /conversations/messages/read`: one message and everything before it, or everything. With an
/// `Idempotency-Key`, a repeat marks nothing that came since, and gets the original answer.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 422 for a message that does not and for a key
/// that was used with another payload.
#[utoipa::path(
    post, path = "/conversations/messages/read", operation_id = "markRead", tag = "Interactions",
    request_body = MarkRead,
    responses((status = 200, description = "What is left unread", body = Unread)),
    extensions(("x-refusals" = json!([
        "404 conversation_not_found", "422 message_not_found", "422 idempotency_key_reused"
    ])))
)]
pub async fn mark_read(
    State(app): State<Arc<App>>,
    identity: Identity,
    headers: HeaderMap,
    Json(body): Json<MarkRead>,
) -> Result<Response, ApiError> {
    let conversation = conversation_id(&body.conversation_id)?;
    let keyed = idempotency_key(&headers)?.map(|key| keyed(&identity, key, &body));
    let original = keyed.as_ref().map(|keyed| app.repeats.original(keyed));
    if let Some(original) = original.transpose()?.flatten() {
        return Ok(answer(original));
    }
    let position = mark_as_read(&app, &identity, body, trace(&headers)).await?;
    let unread = unread_at(&app, &identity, conversation, position).await?;
    let original = Original { position, unread };
    if let Some(keyed) = keyed {
        app.repeats.remember(keyed, original);
    }
    Ok(answer(original))
}

/// The body of `POST /conversations/messages/unread`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"conversationId": "01JD3V2Q8Y6W4K9TZ0M5XB7CRA", "messageId": "01JD3V2Q8Y6W4K9TZ0M5XB7CRA1"}))]
pub struct MarkUnread {
    #[schema(value_type = values::ConversationId)]
    conversation_id: String,
    #[schema(value_type = values::MessageId)]
    message_id: String,
}

/// `POST /conversations/messages/unread`: a message and everything after it counts as unread again. Others are
/// not told: what was read stays read to them.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 422 for a message that does not.
#[utoipa::path(
    post, path = "/conversations/messages/unread", operation_id = "markUnread", tag = "Interactions",
    request_body = MarkUnread,
    responses((status = 200, description = "What is unread now", body = Unread)),
    extensions(("x-refusals" = json!(["404 conversation_not_found", "422 message_not_found"])))
)]
pub async fn mark_unread(
    State(app): State<Arc<App>>,
    identity: Identity,
    headers: HeaderMap,
    Json(body): Json<MarkUnread>,
) -> Result<Response, ApiError> {
    let conversation = conversation_id(&body.conversation_id)?;
    // The same mark again is the same: a key has nothing to add, and must yet be one.
    idempotency_key(&headers)?;
    let message = message_in(MESSAGE, &body.message_id, conversation)?;
    let stream = Stream::Conversation(identity.tenant.clone(), conversation);
    let command = Command::MarkUnread(message.ordinal);
    let marked = app
        .reads
        .mark(&stream, &identity.user, command, trace(&headers))
        .await;
    let position = marked.map_err(no_such_message)?.position;
    app.consistency.wrote(&identity, position);
    let unread = unread_at(&app, &identity, conversation, position).await?;
    Ok(answer(Original { position, unread }))
}

/// How many are unread once the read models have come this far.
async fn unread_at(
    app: &App,
    identity: &Identity,
    conversation: ConversationId,
    position: Position,
) -> Result<u64, ApiError> {
    let recorded = |error: ApiError| error.recorded_at(position);
    app.consistency.reach(position).await.map_err(recorded)?;
    let unread = app
        .read_model
        .unread(&identity.tenant, &identity.user, conversation)
        .await
        .map_err(|error| recorded(error.into()))?;
    unread.ok_or_else(ApiError::not_found)
}

fn no_such_message(error: ExecuteError<Error>) -> ApiError {
    match error {
        ExecuteError::Refused(Error::NoSuchMessage(_)) => ApiError::no_such_message(MESSAGE),
        error => error.into(),
    }
}

fn keyed(identity: &Identity, key: ClientId, body: &MarkRead) -> Keyed {
    let message = body.message_id.as_deref().unwrap_or_default();
    let payload = [body.conversation_id.as_str(), message].map(str::as_bytes);
    Keyed::new(identity, "mark_read", key, &payload)
}

fn answer(original: Original) -> Response {
    let unread_count = original.unread;
    At(original.position, axum::Json(Unread { unread_count })).into_response()
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
    let wanted = message.map(|id| id.ordinal);
    if let Some(position) = read_already(app, identity, conversation, wanted).await? {
        app.consistency.wrote(identity, position);
        return Ok(position);
    }
    let stream = Stream::Conversation(identity.tenant.clone(), conversation);
    let command = Command::MarkRead(wanted);
    let marked = app.reads.mark(&stream, &identity.user, command, trace).await;
    let marked = marked.map_err(no_such_message)?;
    app.consistency.wrote(identity, marked.position);
    Ok(marked.position)
}

/// Where in the log it stands that the user has read this far, or everything; `None` when that does not
/// stand there, or cannot be told from here. Then the mark is moved, which is never wrong.
///
/// It is exact. Both heads are taken after the request came, and the read model is asked when it has
/// reached both, so it knows every message, and every move of the mark, that was acknowledged before. A
/// `MarkedUnread` too would be in the lane, at or below its head. That nothing is unread then means that
/// the mark is beyond the last message of others, or that those above it were deleted or hidden and never
/// count again; messages of one's own, which move the mark themselves, do not count above it. That the receipt has come as far is asked separately, because who joins has
/// everything before read without a receipt; and receipts never go back.
async fn read_already(
    app: &App,
    identity: &Identity,
    conversation: ConversationId,
    wanted: Option<Ordinal>,
) -> Result<Option<Position>, ApiError> {
    let (tenant, user) = (&identity.tenant, &identity.user);
    let nothing_unread = async || {
        let unread = app.read_model.unread(tenant, user, conversation).await;
        unread.is_ok_and(|unread| unread == Some(0))
    };
    // Mostly something is unread, and then nothing further is asked.
    if !nothing_unread().await {
        return Ok(None);
    }
    let stream = Stream::Conversation(tenant.clone(), conversation);
    let lane = Stream::Reads(tenant.clone(), conversation);
    let confirmed = app.conversations.confirmed(&stream).await?;
    let last = confirmed.state.last_ordinal();
    let wanted = match wanted.or_else(|| Ordinal::new(last)) {
        Some(wanted) if wanted.get() <= last => wanted,
        _ => return Ok(None),
    };
    let Ok(head) = app.log.head(&lane).await else {
        return Ok(None);
    };
    let heads = [
        confirmed.position,
        app.log.position(app.log.shard_of(&lane), head),
    ];
    let taken_in = |position: &Position| app.projected.get(position.shard) >= position.sequence;
    if !heads.iter().all(taken_in) || !nothing_unread().await {
        return Ok(None);
    }
    let message = MessageId {
        conversation,
        ordinal: wanted,
    };
    if !has_receipt(app, identity, message).await {
        return Ok(None);
    }
    // A conversation and its lane are of one shard.
    Ok(heads.into_iter().max_by_key(|position| position.sequence))
}

/// Whether others know that the user has read this message: by a receipt, or because it is the user's own.
async fn has_receipt(app: &App, identity: &Identity, message: MessageId) -> bool {
    let (tenant, user) = (&identity.tenant, &identity.user);
    let found = app.read_model.hydrate(tenant, user, &[message]).await;
    if found.is_ok_and(|found| found.iter().any(|found| found.sender == *user)) {
        return true;
    }
    app.read_model
        .has_read(tenant, user, message)
        .await
        .unwrap_or(false)
}
