//! Sending messages, over HTTP and sockets alike.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::conversation::body::{Card, Contact, Location, Sticker};
use domain::conversation::{Body, Command, Error as Refusal, Event, MessageKind};
use domain::values::Content;
use domain::{ClientId, MessageId};
use eventstore::Position;
use eventstore::envelope::Trace;
use eventstore::execute::{ExecuteError, Outcome};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::files::files;
use super::{Asked, trace};
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{Json, conversation_id, idempotency_key, message_in};
use crate::openapi::{bodies, values};
use crate::wire::Message;

/// The field that names what a message answers.
const REPLY_TO: &str = "replyToId";

/// The body of `POST /conversations/messages`, and the data of `send_message`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"conversationId": "01JD3V2Q8Y6W4K9TZ0M5XB7CRA", "content": "Hello!", "type": "TEXT",
    "tempId": "temp_1763626530250"}))]
pub struct SendMessage {
    #[schema(value_type = values::ConversationId)]
    conversation_id: String,
    #[schema(value_type = Option<values::Content>)]
    content: Option<String>,
    /// TEXT if it is missing.
    #[serde(rename = "type")]
    #[schema(value_type = Option<values::MessageType>)]
    kind: Option<String>,
    /// A message of the same conversation.
    #[schema(value_type = Option<values::MessageId>)]
    reply_to_id: Option<String>,
    #[serde(default)]
    #[schema(value_type = Vec<bodies::Attached>, max_items = 10)]
    attachments: Vec<Value>,
    #[schema(value_type = Option<bodies::Sticker>)]
    sticker: Option<Sticker>,
    #[schema(value_type = Option<bodies::Location>)]
    location: Option<Location>,
    #[schema(value_type = Option<bodies::Contact>)]
    contact: Option<Contact>,
    /// What the client calls this send.
    #[schema(value_type = Option<values::ClientId>)]
    pub temp_id: Option<String>,
}

/// What a client would rather have, in a header.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Prefer {
    /// `respond-async`: the answer does not wait for the read models.
    #[param(rename = "Prefer", nullable = false, example = "respond-async")]
    pub prefer: Option<String>,
}

/// `POST /conversations/messages`: says something. With a `tempId` or an `Idempotency-Key`, a repeat gets the original
/// message.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 422 for values that break their rules and
/// for a client id that was used with another payload.
#[utoipa::path(
    post, path = "/conversations/messages", operation_id = "sendMessage", tag = "Messages",
    params(Prefer),
    request_body = SendMessage,
    responses((status = 201, description = "The message", body = Message)),
    extensions(("x-refusals" = json!([
        "404 conversation_not_found", "422 message_not_found", "422 attachment_not_found",
        "422 attachment_too_old", "422 idempotency_key_reused"
    ])))
)]
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
    let kind = match body.kind.as_deref() {
        None => MessageKind::Text,
        Some(name) => MessageKind::parse(name)
            .ok_or_else(|| ApiError::invalid("validation_failed", "type is not a type of message"))?,
    };
    let reply_to = body
        .reply_to_id
        .map(|id| message_in(REPLY_TO, &id, conversation))
        .transpose()?;
    let temp_id = body
        .temp_id
        .map(ClientId::parse)
        .transpose()
        .map_err(|e| ApiError::invalid_field(&e).of_field("tempId"))?;

    let says = Body {
        content: body
            .content
            .map(Content::parse)
            .transpose()
            .map_err(|e| ApiError::invalid_field(&e))?,
        attachments: files(app, identity, body.attachments).await?,
        card: one_card(body.sticker, body.location, body.contact)?,
        client_id: None,
    };
    let reply = reply_to.map(|id| id.to_string()).unwrap_or_default();
    let files = serde_json::to_string(&(&says.attachments, &says.card)).unwrap_or_default();
    let content = says.content.as_ref().map_or("", Content::as_str);
    let payload = if says.attachments.is_empty() && says.card.is_none() {
        vec![kind.as_str(), content, &reply]
    } else {
        vec![kind.as_str(), content, &reply, &files]
    };
    let payload: Vec<_> = payload.into_iter().map(str::as_bytes).collect();
    let asked = Asked {
        app,
        identity,
        conversation,
        operation: "send_message",
        key: key.or_else(|| temp_id.clone()),
        trace,
    };
    let command = Command::SendMessage {
        kind,
        body: Body {
            client_id: temp_id,
            ..says.clone()
        },
        reply_to: reply_to.map(|id| id.ordinal),
    };
    let done = asked.carry_out(command, &payload).await;
    let done = done.map_err(|error| match error {
        ExecuteError::Refused(Refusal::NoSuchMessage(_)) => ApiError::no_such_message(REPLY_TO),
        error => error.into(),
    })?;
    metrics::counter!("verbatim_messages_sent_total").increment(1);
    let position = done.position;
    let is_repeat = matches!(done.outcome, Outcome::Repeated { .. });
    let events = done.events(app).await?;
    let sent = events.iter().find_map(|event| match event {
        Event::MessageSent(sent) => Some(sent),
        _ => None,
    });
    let sent = sent.ok_or_else(ApiError::internal)?;
    let mut message = Message::from_sent(conversation, sent, &app.links);
    if is_repeat && let Some(tombstone) = tombstone(app, identity, message.id()).await {
        message = tombstone;
    }
    Ok(Sent { message, position })
}

/// What is left of a message that was deleted, which a repeat does not bring back. While the read model is away
/// that is not known.
async fn tombstone(app: &App, identity: &Identity, id: MessageId) -> Option<Message> {
    let (tenant, user) = (&identity.tenant, &identity.user);
    let found = app.read_model.hydrate(tenant, user, &[id]).await.ok()?;
    let deleted = found.into_iter().find(|found| found.deleted_at.is_some())?;
    Some(Message::from_view(deleted, &app.links))
}

/// What is neither text nor file, of which there is one at most.
fn one_card(
    sticker: Option<Sticker>,
    location: Option<Location>,
    contact: Option<Contact>,
) -> Result<Option<Card>, ApiError> {
    let cards = [
        sticker.map(Card::Sticker),
        location.map(Card::Location),
        contact.map(Card::Contact),
    ];
    let mut cards = cards.into_iter().flatten();
    match (cards.next(), cards.next()) {
        (_, Some(_)) => Err(ApiError::invalid(
            "validation_failed",
            "only one of sticker, location and contact can be sent",
        )),
        (card, None) => Ok(card),
    }
}
