//! Sending messages, over HTTP and sockets alike.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::conversation::{Command, Error as Refusal, Event, MessageKind};
use domain::values::Content;
use domain::{ClientId, CommandId};
use eventstore::envelope::{CommandTag, Event as Recorded, Trace};
use eventstore::execute::{ExecuteError, Outcome, Request};
use eventstore::{Position, Stream};
use serde::Deserialize;

use super::{tag, trace};
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{Json, conversation_id, idempotency_key, message_in};
use crate::wire::Message;

/// The types of the reference whose shapes are not built yet.
const UNSUPPORTED_TYPES: [&str; 7] = [
    "IMAGE", "VIDEO", "AUDIO", "FILE", "STICKER", "LOCATION", "CONTACT",
];

/// The field that names what a message answers.
const REPLY_TO: &str = "replyToId";

/// The body of `POST /conversations/messages`, and the data of `send_message`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    conversation_id: String,
    content: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    reply_to_id: Option<String>,
    attachments: Option<Vec<serde_json::Value>>,
    /// What the client calls this send.
    pub temp_id: Option<String>,
}

/// `POST /conversations/messages`: with a `tempId` or an `Idempotency-Key`, a repeat gets the original
/// message.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 422 for values that break their rules and
/// for a client id that was used with another payload.
pub async fn send(
    State(app): State<Arc<App>>,
    identity: Identity,
    headers: HeaderMap,
    Json(body): Json<SendMessage>,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers)?;
    let sent = send_message(&app, &identity, body, key, trace(&headers)).await?;
    app.consistency.settle(&headers, sent.position).await;
    Ok(At(sent.position, (StatusCode::CREATED, axum::Json(sent.message))).into_response())
}

/// A message that is durably in the log.
pub struct Sent {
    /// The message.
    pub message: Message,
    /// Where it is.
    pub position: Position,
}

/// Sends a message. `key` names the command before the body's `tempId` does.
///
/// # Errors
/// As [`send`].
pub async fn send_message(
    app: &App,
    identity: &Identity,
    body: SendMessage,
    key: Option<ClientId>,
    trace: Trace,
) -> Result<Sent, ApiError> {
    let conversation = conversation_id(&body.conversation_id)?;
    check_type(&body)?;
    let content =
        Content::parse(body.content.unwrap_or_default()).map_err(|e| ApiError::invalid_field(&e))?;
    let reply_to = body
        .reply_to_id
        .map(|id| message_in(REPLY_TO, &id, conversation))
        .transpose()?;
    let temp_id = body
        .temp_id
        .map(ClientId::parse)
        .transpose()
        .map_err(|e| ApiError::invalid_field(&e).of_field("tempId"))?;

    let stream = Stream::Conversation(identity.tenant.clone(), conversation);
    let reply = reply_to.map(|id| id.to_string()).unwrap_or_default();
    let payload = [MessageKind::Text.as_str(), content.as_str(), &reply].map(str::as_bytes);
    let tag = tag(
        identity,
        "send_message",
        &stream,
        key.as_ref().or(temp_id.as_ref()),
        &payload,
    );
    let command = Command::SendMessage {
        content,
        reply_to: reply_to.map(|id| id.ordinal),
        client_id: temp_id,
    };
    let request = Request {
        command,
        actor: Some(identity.user.clone()),
        tag,
        trace,
    };
    let outcome = app.conversations.execute(&stream, request).await;
    let outcome = outcome.map_err(|error| match error {
        ExecuteError::Refused(Refusal::NoSuchMessage(_)) => ApiError::no_such_message(REPLY_TO),
        error => error.into(),
    })?;
    let position = outcome.position();
    app.consistency.wrote(identity, position);
    metrics::counter!("verbatim_messages_sent_total").increment(1);
    let message = match outcome {
        Outcome::Appended { events, .. } => events.iter().find_map(|event| match event {
            Event::MessageSent(sent) => Some(Message::from_sent(conversation, sent)),
            _ => None,
        }),
        Outcome::Repeated { .. } => match tag {
            Some(CommandTag { id, .. }) => original(app, &stream, position, id).await?,
            None => None,
        },
        Outcome::Unchanged { .. } => None,
    };
    Ok(Sent {
        message: message.ok_or_else(ApiError::internal)?,
        position,
    })
}

fn check_type(body: &SendMessage) -> Result<(), ApiError> {
    match body.kind.as_deref() {
        None | Some("TEXT") if body.attachments.as_ref().is_none_or(Vec::is_empty) => Ok(()),
        None | Some("TEXT") => Err(ApiError::invalid(
            "attachments_unsupported",
            "attachments are not supported yet",
        )),
        Some(kind) if UNSUPPORTED_TYPES.contains(&kind) => Err(ApiError::invalid(
            "type_unsupported",
            format!("messages of type {kind} are not supported yet"),
        )),
        Some(_) => Err(ApiError::invalid(
            "validation_failed",
            "type is not a type of message",
        )),
    }
}

/// The message that a command sent when it was carried out before, out of the log itself.
async fn original(
    app: &App,
    stream: &Stream,
    position: Position,
    command: CommandId,
) -> Result<Option<Message>, ApiError> {
    let unavailable = |_| ApiError::unavailable("log_unavailable", "the original message cannot be read now");
    let Stream::Conversation(_, conversation) = stream else {
        return Ok(None);
    };
    let before = position.sequence.saturating_sub(1);
    let records = app
        .log
        .read_stream(stream, before, 1)
        .await
        .map_err(unavailable)?;
    let commits = app
        .codec
        .decode(&records)
        .await
        .map_err(|error| unavailable_record(&error))?;
    let recorded = commits.iter().flat_map(|commit| &commit.events);
    Ok(recorded
        .filter(|event| event.command.is_some_and(|tag| tag.id == command))
        .find_map(|event| match &event.event {
            Recorded::Conversation(Event::MessageSent(sent)) => Some(Message::from_sent(*conversation, sent)),
            _ => None,
        }))
}

fn unavailable_record(error: &eventstore::DecodeError) -> ApiError {
    tracing::error!(%error, "the original of a repeated command cannot be read");
    ApiError::unavailable("log_unavailable", "the original message cannot be read now")
}
