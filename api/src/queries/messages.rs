//! Pages of a conversation's messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use domain::{ConversationId, MessageId, Ordinal, UserId};
use projections::view::{MessageRange, MessageView};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::Identity;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{ConversationPath, Query, page_limit};
use crate::openapi::values;
use crate::wire::{Message, Time};

const DEFAULT_LIMIT: u32 = 50;

/// The query of `GET /conversations/{id}/messages`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessagesQuery {
    /// The most messages of a page.
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
    /// Those before this message.
    #[param(value_type = Option<values::MessageId>, nullable = false)]
    before: Option<String>,
    /// Those after this message.
    #[param(value_type = Option<values::MessageId>, nullable = false)]
    after: Option<String>,
    /// Those on both sides of this message, itself among them; only one of the three at a time.
    #[param(value_type = Option<values::MessageId>, nullable = false)]
    around: Option<String>,
}

/// A page of messages, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessagePage)]
pub struct Messages {
    data: Vec<Message>,
    has_more: bool,
    /// The newest message of the page: the `after` of the page of newer ones. Of an empty page the one that
    /// was asked with, so that who asks again and again keeps the place.
    #[schema(value_type = Option<values::MessageId>)]
    next_cursor: Option<MessageId>,
    /// The oldest message of the page: the `before` of the page of older ones. Of an empty page as above.
    #[schema(value_type = Option<values::MessageId>)]
    prev_cursor: Option<MessageId>,
}

/// `GET /conversations/{id}/messages`: the newest ones, or those before, after or around a message.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 400 for cursors that are none of it, 422
/// for a limit beyond its range.
#[utoipa::path(
    get, path = "/conversations/{id}/messages", operation_id = "listMessages", tag = "Messages",
    params(ConversationPath, MessagesQuery),
    responses((status = 200, description = "A page of messages", body = Messages)),
    extensions(("x-refusals" = json!([
        "400 invalid_cursor", "404 conversation_not_found", "422 validation_failed"
    ])))
)]
pub async fn page(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    ConversationPath(conversation): ConversationPath,
    Query(query): Query<MessagesQuery>,
) -> Result<axum::Json<Messages>, ApiError> {
    let places = [&query.before, &query.after, &query.around];
    if places.into_iter().flatten().count() > 1 {
        return Err(ApiError::bad_request(
            "invalid_cursor",
            "only one of before, after and around can be asked for",
        ));
    }
    if let Some(middle) = cursor(query.around.as_deref(), conversation)? {
        let limit = page_limit(query.limit.as_deref(), DEFAULT_LIMIT)?;
        return around(&app, &identity, middle, limit).await.map(axum::Json);
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
        data: shown(&app, page.items),
    }))
}

fn shown(app: &App, items: Vec<MessageView>) -> Vec<Message> {
    let shown = |message| Message::from_view(message, &app.links);
    items.into_iter().map(shown).collect()
}

/// The messages on both sides of one, that one among them, in equal parts where there are as many.
async fn around(app: &App, identity: &Identity, middle: MessageId, limit: u32) -> Result<Messages, ApiError> {
    let page = async |range| {
        let (tenant, user) = (&identity.tenant, &identity.user);
        let page = app
            .read_model
            .messages(tenant, user, middle.conversation, range)
            .await?;
        page.ok_or_else(ApiError::not_found)
    };
    let newer = page(MessageRange {
        limit: limit / 2,
        before: None,
        after: Some(middle.ordinal),
    })
    .await?;
    // Up to the one in the middle, and it too.
    let older = page(MessageRange {
        limit: limit - u32::try_from(newer.items.len()).unwrap_or(0),
        before: Some(Ordinal::after(middle.ordinal.get())),
        after: None,
    })
    .await?;
    let items: Vec<_> = older.items.into_iter().chain(newer.items).collect();
    Ok(Messages {
        has_more: older.has_more || newer.has_more,
        next_cursor: items.last().map_or(Some(middle), |message| Some(message.id)),
        prev_cursor: items.first().map_or(Some(middle), |message| Some(message.id)),
        data: shown(app, items),
    })
}

/// What a conversation's messages are, in numbers; without the deleted, and those that who asks hid.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageStats)]
pub struct Stats {
    total: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_type: BTreeMap<&'static str, u64>,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_user: BTreeMap<UserId, u64>,
    /// By day in UTC: `2030-01-31`.
    by_day: BTreeMap<String, u64>,
    attachments: u64,
    first_message_at: Option<Time>,
    last_message_at: Option<Time>,
}

/// `GET /conversations/{id}/messages/stats`: what is said there, in numbers.
///
/// # Errors
/// 404 for a conversation that does not exist for this user.
#[utoipa::path(
    get, path = "/conversations/{id}/messages/stats", operation_id = "countMessages", tag = "Messages",
    params(ConversationPath),
    responses((status = 200, description = "The numbers", body = Stats)),
    extensions(("x-refusals" = json!(["404 conversation_not_found"])))
)]
pub async fn stats(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    ConversationPath(conversation): ConversationPath,
) -> Result<axum::Json<Stats>, ApiError> {
    let (tenant, user) = (&identity.tenant, &identity.user);
    let unread = app.read_model.unread(tenant, user, conversation).await?;
    unread.ok_or_else(ApiError::not_found)?;
    let tallies = app.read_model.message_stats(tenant, user, conversation).await?;
    let mut stats = Stats::default();
    let (mut first, mut last) = (None, None);
    for tally in tallies {
        stats.total += tally.count;
        stats.attachments += tally.attachments;
        *stats.by_type.entry(tally.kind.as_str()).or_default() += tally.count;
        *stats.by_user.entry(tally.sender).or_default() += tally.count;
        *stats.by_day.entry(day(tally.day)).or_default() += tally.count;
        first = first.into_iter().chain([tally.first_at]).min();
        last = last.into_iter().chain([tally.last_at]).max();
    }
    (stats.first_message_at, stats.last_message_at) = (first.map(Time), last.map(Time));
    Ok(axum::Json(stats))
}

/// A day, counted from 1970 in UTC, as it is written.
fn day(since_1970: i64) -> String {
    let days = time::Duration::days(since_1970);
    let date = OffsetDateTime::UNIX_EPOCH.date().checked_add(days);
    date.map_or_else(String::new, |date| date.to_string())
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
