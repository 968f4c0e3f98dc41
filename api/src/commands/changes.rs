//! What becomes of messages: new texts, deletion, reactions.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::MessageId;
use domain::conversation::{Command, Event};
use domain::values::{Content, Emoji};
use eventstore::Position;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{Done, shown_message};
use super::keeping::hide;
use super::{Asked, trace};
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::{ApiError, about_message};
use crate::extract::{Json, MessagePath, Query, flag, idempotency_key};
use crate::openapi::values;
use crate::wire::{Message, Reaction};

/// The body of `PUT /conversations/messages/{id}`.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"content": "Hello, all!"}))]
pub struct EditMessage {
    #[schema(value_type = values::Content)]
    content: String,
}

/// `PUT /conversations/messages/{id}`: its sender writes a text anew.
///
/// # Errors
/// 404 for a message that does not exist for this user, 403 for someone else's and for one that was sent too
/// long ago, 422 for one that is no text or was deleted, and for a content that breaks its rule.
#[utoipa::path(
    put, path = "/conversations/messages/{id}", operation_id = "editMessage", tag = "Messages",
    params(MessagePath),
    request_body = EditMessage,
    responses((status = 200, description = "The message as it is now", body = Message)),
    extensions(("x-refusals" = json!([
        "403 not_the_author", "403 edit_window_over", "404 message_not_found", "422 message_deleted",
        "422 not_a_text"
    ])))
)]
pub async fn edit(
    State(app): State<Arc<App>>,
    identity: Identity,
    MessagePath(id): MessagePath,
    headers: HeaderMap,
    Json(body): Json<EditMessage>,
) -> Result<Response, ApiError> {
    let command = Command::EditMessage {
        message: id.ordinal,
        content: Content::parse(body.content).map_err(|error| ApiError::invalid_field(&error))?,
        within: app.edit_window,
    };
    must_be_seen(&app, &identity, id).await?;
    let asked = Asked::unnamed(&app, &identity, id.conversation, &headers);
    let done = asked.carry_out(command, &[]).await.map_err(about_message)?;
    let message = shown_message(&app, &identity, id, done.position).await?;
    Ok(At(done.position, axum::Json(message)).into_response())
}

/// The query of `DELETE /conversations/messages/{id}`.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct DeleteMessage {
    /// Whether for all, or for oneself alone.
    #[param(value_type = Option<bool>, nullable = false, default = false)]
    for_everyone: Option<String>,
}

/// `DELETE /conversations/messages/{id}`: with `forEveryone=true` what it said is gone for all, and the answer
/// is what is left of it; otherwise only who asks does not see it any more.
///
/// # Errors
/// 404 for a message that does not exist for this user; for everyone, 403 for someone else's, unless in a
/// group and for its ADMINs and MODERATORs.
#[utoipa::path(
    delete, path = "/conversations/messages/{id}", operation_id = "deleteMessage", tag = "Messages",
    params(MessagePath, DeleteMessage),
    responses(
        (status = 200, description = "For everyone: what is left of it", body = Message),
        (status = 204, description = "For oneself"),
    ),
    extensions(("x-refusals" = json!([
        "400 malformed_idempotency_key", "403 forbidden", "403 not_the_author", "404 message_not_found",
        "422 validation_failed", "422 idempotency_key_reused"
    ])))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    identity: Identity,
    MessagePath(id): MessagePath,
    Query(query): Query<DeleteMessage>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if flag("forEveryone", query.for_everyone.as_deref())? != Some(true) {
        return hide(&app, &identity, &headers, id).await;
    }
    let command = Command::DeleteMessage { message: id.ordinal };
    must_be_seen(&app, &identity, id).await?;
    let asked = Asked::unnamed(&app, &identity, id.conversation, &headers);
    let done = asked.carry_out(command, &[]).await.map_err(about_message)?;
    let message = shown_message(&app, &identity, id, done.position).await?;
    Ok(At(done.position, axum::Json(message)).into_response())
}

/// The body of `POST /conversations/messages/{id}/react`.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"emoji": "👍"}))]
pub struct React {
    #[schema(value_type = values::Emoji)]
    emoji: String,
}

/// What became of a reaction.
#[derive(Serialize, ToSchema)]
pub struct Reacted {
    /// `added` or `removed`.
    #[schema(pattern = "^(added|removed)$")]
    action: &'static str,
    #[schema(value_type = values::Emoji)]
    emoji: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reaction: Option<Reaction>,
}

/// `POST /conversations/messages/{id}/react`: adds the reaction, or takes it back when it is there. With an
/// `Idempotency-Key` a repeat changes nothing, and is answered as the original was.
///
/// # Errors
/// 404 for a message that does not exist for this user, 422 for one that was deleted, for an emoji that is
/// none, and for too many different ones.
#[utoipa::path(
    post, path = "/conversations/messages/{id}/react", operation_id = "react", tag = "Interactions",
    params(MessagePath),
    request_body = React,
    responses((status = 200, description = "What became of it", body = Reacted)),
    extensions(("x-refusals" = json!([
        "404 message_not_found", "422 message_deleted", "422 too_many_reactions",
        "422 idempotency_key_reused"
    ])))
)]
pub async fn react(
    State(app): State<Arc<App>>,
    identity: Identity,
    MessagePath(id): MessagePath,
    headers: HeaderMap,
    Json(body): Json<React>,
) -> Result<Response, ApiError> {
    let emoji = Emoji::parse(body.emoji).map_err(|error| ApiError::invalid_field(&error))?;
    must_be_seen(&app, &identity, id).await?;
    let asked = Asked {
        app: &app,
        identity: &identity,
        conversation: id.conversation,
        operation: "react",
        key: idempotency_key(&headers)?,
        trace: trace(&headers),
    };
    let message = id.to_string();
    let payload = [message.as_bytes(), emoji.as_str().as_bytes()];
    let command = Command::ToggleReaction {
        message: id.ordinal,
        emoji: emoji.clone(),
    };
    let done = asked.carry_out(command, &payload).await.map_err(about_message)?;
    reacted(&app, &identity, &headers, id, emoji, done).await
}

/// The query of `DELETE /conversations/messages/{id}/react`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RemoveReaction {
    /// What is taken back.
    #[param(value_type = values::Emoji)]
    emoji: Option<String>,
}

/// `DELETE /conversations/messages/{id}/react?emoji=…`: takes the reaction back; that it is not there is fine.
///
/// # Errors
/// As [`react`].
#[utoipa::path(
    delete, path = "/conversations/messages/{id}/react", operation_id = "unreact", tag = "Interactions",
    params(MessagePath, RemoveReaction),
    responses((status = 200, description = "What became of it", body = Reacted)),
    extensions(("x-refusals" = json!([
        "404 message_not_found", "422 validation_failed", "422 message_deleted"
    ])))
)]
pub async fn unreact(
    State(app): State<Arc<App>>,
    identity: Identity,
    MessagePath(id): MessagePath,
    Query(query): Query<RemoveReaction>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let emoji = query.emoji.unwrap_or_default();
    let emoji = Emoji::parse(emoji).map_err(|error| ApiError::invalid_field(&error))?;
    let command = Command::RemoveReaction {
        message: id.ordinal,
        emoji: emoji.clone(),
    };
    must_be_seen(&app, &identity, id).await?;
    let asked = Asked::unnamed(&app, &identity, id.conversation, &headers);
    let done = asked.carry_out(command, &[]).await.map_err(about_message)?;
    reacted(&app, &identity, &headers, id, emoji, done).await
}

/// What the user hid is not there for the user. That the message exists is the command's matter: the read model
/// may not have it yet.
async fn must_be_seen(app: &App, identity: &Identity, id: MessageId) -> Result<(), ApiError> {
    let is_hidden = app
        .read_model
        .is_hidden(&identity.tenant, &identity.user, id)
        .await?;
    if is_hidden {
        Err(ApiError::message_not_found())
    } else {
        Ok(())
    }
}

async fn reacted(
    app: &App,
    identity: &Identity,
    headers: &HeaderMap,
    id: MessageId,
    emoji: Emoji,
    done: Done,
) -> Result<Response, ApiError> {
    let position: Position = done.position;
    let events = done.events(app).await?;
    let is_added = events
        .iter()
        .any(|event| matches!(event, Event::ReactionAdded(_)));
    app.consistency.settle(headers, position).await;
    let emoji = String::from(emoji);
    let reaction = is_added.then(|| Reaction {
        message_id: id,
        user_id: identity.user.clone(),
        emoji: emoji.clone(),
    });
    let body = Reacted {
        action: if is_added { "added" } else { "removed" },
        emoji,
        reaction,
    };
    Ok(At(position, axum::Json(body)).into_response())
}
