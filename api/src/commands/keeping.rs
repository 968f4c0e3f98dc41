//! How users keep their conversations: archive and mute, and what they do not want to see. It is recorded in
//! the user's own stream, and nobody else is told.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::conversation::Conversation;
use domain::user::Command;
use domain::{ConversationId, MessageId};
use eventstore::execute::{Confirmed, Request};
use eventstore::{Position, Stream};
use serde::Deserialize;
use utoipa::ToSchema;

use super::asked::shown;
use super::{tag, trace};
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{ConversationPath, OptionalJson, idempotency_key, instant};
use crate::openapi::values;
use crate::wire;

/// `POST /conversations/{id}/archive`: until something new is said there, or for as long as it is muted.
///
/// # Errors
/// 404 for a conversation that does not exist for this user.
#[utoipa::path(
    post, path = "/conversations/{id}/archive", operation_id = "archiveConversation", tag = "Conversations",
    params(ConversationPath),
    responses((status = 200, description = "The conversation as it is now", body = wire::Conversation)),
    extensions(("x-refusals" = json!(["404 conversation_not_found"])))
)]
pub async fn archive(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    keep(&app, &identity, &headers, id, "archive", Command::Archive(id)).await
}

/// `POST /conversations/{id}/unarchive`: brings it back.
///
/// # Errors
/// As [`archive`].
#[utoipa::path(
    post, path = "/conversations/{id}/unarchive", operation_id = "unarchiveConversation", tag = "Conversations",
    params(ConversationPath),
    responses((status = 200, description = "The conversation as it is now", body = wire::Conversation)),
    extensions(("x-refusals" = json!(["404 conversation_not_found"])))
)]
pub async fn unarchive(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    keep(&app, &identity, &headers, id, "unarchive", Command::Unarchive(id)).await
}

/// The body of `POST /conversations/{id}/mute`, which may be missing.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"mutedUntil": "2030-01-31T12:00:00Z"}))]
pub struct Mute {
    /// For ever, if it is missing.
    #[schema(value_type = Option<values::FutureTime>)]
    muted_until: Option<String>,
}

/// `POST /conversations/{id}/mute`: for ever, or until a time.
///
/// # Errors
/// As [`archive`], and 422 for a time that is none or is over.
#[utoipa::path(
    post, path = "/conversations/{id}/mute", operation_id = "muteConversation", tag = "Conversations",
    params(ConversationPath),
    request_body = Option<Mute>,
    responses((status = 200, description = "The conversation as it is now", body = wire::Conversation)),
    extensions(("x-refusals" = json!([
        "404 conversation_not_found", "422 muted_until_the_past", "422 idempotency_key_reused"
    ])))
)]
pub async fn mute(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<Mute>,
) -> Result<Response, ApiError> {
    let until = body.muted_until.as_deref();
    let until = until.map(|text| instant("mutedUntil", text)).transpose()?;
    let position = member_of(&app, &identity, id).await?.position;
    let command = Command::Mute {
        conversation: id,
        until,
        came_back: !shown(&app, &identity, id, position).await?.is_archived(),
    };
    keep(&app, &identity, &headers, id, "mute", command).await
}

/// `POST /conversations/{id}/unmute`: who asks is notified of it again.
///
/// # Errors
/// As [`archive`].
#[utoipa::path(
    post, path = "/conversations/{id}/unmute", operation_id = "unmuteConversation", tag = "Conversations",
    params(ConversationPath),
    responses((status = 200, description = "The conversation as it is now", body = wire::Conversation)),
    extensions(("x-refusals" = json!(["404 conversation_not_found"])))
)]
pub async fn unmute(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    keep(&app, &identity, &headers, id, "unmute", Command::Unmute(id)).await
}

async fn keep(
    app: &App,
    identity: &Identity,
    headers: &HeaderMap,
    id: ConversationId,
    operation: &str,
    command: Command,
) -> Result<Response, ApiError> {
    let position = record(app, identity, headers, id, operation, command).await?;
    let conversation = shown(app, identity, id, position).await?;
    Ok(At(position, axum::Json(conversation)).into_response())
}

/// `DELETE /conversations/messages/{id}`, without `forEveryone`: who asks does not see it any more.
///
/// # Errors
/// 404 for a message that does not exist for this user.
pub(super) async fn hide(
    app: &App,
    identity: &Identity,
    headers: &HeaderMap,
    id: MessageId,
) -> Result<Response, ApiError> {
    let not_found = |error: ApiError| match error.status() {
        StatusCode::NOT_FOUND => ApiError::message_not_found(),
        _ => error,
    };
    // The log knows of a message before the read models do.
    let confirmed = member_of(app, identity, id.conversation)
        .await
        .map_err(not_found)?;
    let is_hidden = app
        .read_model
        .is_hidden(&identity.tenant, &identity.user, id)
        .await?;
    if is_hidden || id.ordinal.get() > confirmed.state.last_ordinal() {
        return Err(ApiError::message_not_found());
    }
    let command = Command::Hide(id);
    let position = record(app, identity, headers, id.conversation, "hide", command).await;
    let position = position.map_err(not_found)?;
    app.consistency.settle(headers, position).await;
    Ok(At(position, StatusCode::NO_CONTENT).into_response())
}

/// A conversation of which the user is a member, as it is now.
async fn member_of(
    app: &App,
    identity: &Identity,
    id: ConversationId,
) -> Result<Confirmed<Conversation>, ApiError> {
    let stream = Stream::Conversation(identity.tenant.clone(), id);
    let confirmed = app.conversations.confirmed(&stream).await?;
    match confirmed.state.member(&identity.user) {
        Ok(_) => Ok(confirmed),
        Err(_) => Err(ApiError::not_found()),
    }
}

/// Records something of the user's own about a conversation of which the user is a member.
async fn record(
    app: &App,
    identity: &Identity,
    headers: &HeaderMap,
    id: ConversationId,
    operation: &str,
    command: Command,
) -> Result<Position, ApiError> {
    member_of(app, identity, id).await?;
    let payload = match &command {
        Command::Mute { until, .. } => format!("{until:?}"),
        Command::Hide(message) => message.to_string(),
        _ => String::new(),
    };
    let stream = Stream::User(identity.tenant.clone(), identity.user.clone());
    let key = idempotency_key(headers)?;
    // The stream is of all the user's conversations, and a key is one conversation's.
    let operation = format!("{operation} {id}");
    let request = Request {
        tag: tag(identity, &operation, &stream, key.as_ref(), &[payload.as_bytes()]),
        command,
        actor: Some(identity.user.clone()),
        trace: trace(headers),
    };
    let position = app.users.execute(&stream, request).await?.position();
    app.consistency.wrote(identity, position);
    Ok(position)
}
