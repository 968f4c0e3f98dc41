//! How users keep their conversations: archive and mute, and what they do not want to see. It is recorded in
//! the user's own stream, and nobody else is told.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::conversation::Conversation;
use domain::user::Command;
use domain::{ConversationId, MessageId, Timestamp};
use eventstore::execute::{Confirmed, Request};
use eventstore::{Position, Stream};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::asked::shown;
use super::{tag, trace};
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{ConversationPath, OptionalJson, idempotency_key};

/// `POST /conversations/{id}/archive`: until something new is said there, or for as long as it is muted.
///
/// # Errors
/// 404 for a conversation that does not exist for this user.
pub async fn archive(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    keep(&app, &identity, &headers, id, "archive", Command::Archive(id)).await
}

/// `POST /conversations/{id}/unarchive`.
///
/// # Errors
/// As [`archive`].
pub async fn unarchive(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    keep(&app, &identity, &headers, id, "unarchive", Command::Unarchive(id)).await
}

/// The body of `POST /conversations/{id}/mute`, which may be missing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mute {
    muted_until: Option<String>,
}

/// `POST /conversations/{id}/mute`: for ever, or until a time.
///
/// # Errors
/// As [`archive`], and 422 for a time that is none or is over.
pub async fn mute(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<Mute>,
) -> Result<Response, ApiError> {
    let until = body.muted_until.as_deref().map(until).transpose()?;
    let position = member_of(&app, &identity, id).await?.position;
    let command = Command::Mute {
        conversation: id,
        until,
        came_back: !shown(&app, &identity, id, position).await?.is_archived(),
    };
    keep(&app, &identity, &headers, id, "mute", command).await
}

/// `POST /conversations/{id}/unmute`.
///
/// # Errors
/// As [`archive`].
pub async fn unmute(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    keep(&app, &identity, &headers, id, "unmute", Command::Unmute(id)).await
}

fn until(text: &str) -> Result<Timestamp, ApiError> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        ApiError::invalid(
            "validation_failed",
            "mutedUntil must be a time as in RFC 3339, like 2030-01-31T12:00:00Z",
        )
    })?;
    let beyond = || ApiError::invalid("validation_failed", "mutedUntil is beyond the calendar");
    // It is told in UTC, where it may be in another year.
    let time = time
        .checked_to_offset(UtcOffset::UTC)
        .filter(|time| (0..=9_999).contains(&time.year()))
        .ok_or_else(beyond)?;
    let millis = i64::try_from(time.unix_timestamp_nanos() / 1_000_000);
    millis.map(Timestamp::from_millis).map_err(|_| beyond())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_in_rfc_3339() {
        let millis = |text| until(text).unwrap().as_millis();
        assert_eq!(millis("1970-01-01T00:00:01Z"), 1_000);
        assert_eq!(millis("1970-01-01T07:00:00.250+07:00"), 250);
        for bad in [
            "",
            "tomorrow",
            "2030-01-31",
            "2030-01-31T12:00:00",
            "1e9",
            "9999-12-31T23:59:59-23:00",
        ] {
            assert!(until(bad).is_err(), "{bad}");
        }
    }
}
