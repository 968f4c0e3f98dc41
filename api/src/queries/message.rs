//! Single messages: what they are, what they were, and what others make of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{MessageId, UserId};
use projections::view::{MessageView, ReceiptRange};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::Identity;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{MessagePath, Query, page_limit};
use crate::openapi::values;
use crate::wire::{Message, Pagination, Time};

/// `GET /conversations/messages/{id}`: a message as who asks sees it.
///
/// # Errors
/// 404 for a message that does not exist for this user.
#[utoipa::path(
    get, path = "/conversations/messages/{id}", operation_id = "getMessage", tag = "Messages",
    params(MessagePath),
    responses((status = 200, description = "The message", body = Message)),
    extensions(("x-refusals" = json!(["404 message_not_found"])))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    MessagePath(id): MessagePath,
) -> Result<axum::Json<Message>, ApiError> {
    let message = message(&app, &identity, id).await?;
    Ok(axum::Json(Message::from_view(message, &app.links)))
}

async fn message(app: &App, identity: &Identity, id: MessageId) -> Result<MessageView, ApiError> {
    let found = app
        .read_model
        .hydrate(&identity.tenant, &identity.user, &[id])
        .await?;
    found.into_iter().next().ok_or_else(ApiError::message_not_found)
}

/// A text that a message has or had.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    content: Option<String>,
    edited_at: Time,
    /// From 1 on.
    #[schema(minimum = 1)]
    version: u64,
    /// Who wrote it.
    #[schema(value_type = values::UserId)]
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    user_id: UserId,
}

/// All that a message said.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    data: Vec<Version>,
    is_deleted: bool,
}

/// `GET /conversations/messages/{id}/history`: every text, oldest first, the one it has last. Of what was
/// deleted only that it was.
///
/// # Errors
/// 404 for a message that does not exist for this user.
#[utoipa::path(
    get, path = "/conversations/messages/{id}/history", operation_id = "getHistory", tag = "Messages",
    params(MessagePath),
    responses((status = 200, description = "Its texts", body = History)),
    extensions(("x-refusals" = json!(["404 message_not_found"])))
)]
pub async fn history(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    MessagePath(id): MessagePath,
) -> Result<axum::Json<History>, ApiError> {
    let mut message = message(&app, &identity, id).await?;
    let before = loop {
        let before = app
            .read_model
            .message_versions(&identity.tenant, &identity.user, id)
            .await?;
        let now = self::message(&app, &identity, id).await?;
        // An edit between the two would be missing in both.
        if (now.edited_at, now.deleted_at) == (message.edited_at, message.deleted_at) {
            break before.ok_or_else(ApiError::message_not_found)?;
        }
        message = now;
    };
    if message.deleted_at.is_some() {
        return Ok(axum::Json(History {
            data: Vec::new(),
            is_deleted: true,
        }));
    }
    let last = before.len() as u64 + 1;
    let mut data: Vec<_> = before
        .into_iter()
        .map(|text| Version {
            content: text.content,
            edited_at: Time(text.written_at),
            version: text.number + 1,
            user_id: message.sender.clone(),
        })
        .collect();
    data.push(Version {
        content: message.content,
        edited_at: Time(message.edited_at.unwrap_or(message.sent_at)),
        version: last,
        user_id: message.sender,
    });
    Ok(axum::Json(History {
        data,
        is_deleted: false,
    }))
}

/// Who reacted to a message with one emoji.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reactors)]
pub struct Reacted {
    count: u64,
    #[schema(value_type = Vec<values::UserId>)]
    #[serde(serialize_with = "crate::wire::user_ids::several")]
    user_ids: Vec<UserId>,
}

/// Who reacted to a message, with what.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReactionStats {
    total: u64,
    by_emoji: BTreeMap<String, Reacted>,
    /// What who asks reacted with.
    #[schema(value_type = Vec<values::Emoji>)]
    mine: Vec<String>,
}

/// `GET /conversations/messages/{id}/reactions/stats`: who reacted with what.
///
/// # Errors
/// 404 for a message that does not exist for this user.
#[utoipa::path(
    get, path = "/conversations/messages/{id}/reactions/stats", operation_id = "countReactions", tag = "Interactions",
    params(MessagePath),
    responses((status = 200, description = "The reactions", body = ReactionStats)),
    extensions(("x-refusals" = json!(["404 message_not_found"])))
)]
pub async fn reactions(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    MessagePath(id): MessagePath,
) -> Result<axum::Json<ReactionStats>, ApiError> {
    message(&app, &identity, id).await?;
    let reactions = app
        .read_model
        .message_reactions(&identity.tenant, &identity.user, id)
        .await?;
    let mut stats = ReactionStats::default();
    for (emoji, user, _) in reactions {
        stats.total += 1;
        if user == identity.user {
            stats.mine.push(emoji.clone());
        }
        let of_emoji = stats.by_emoji.entry(emoji).or_default();
        of_emoji.count += 1;
        of_emoji.user_ids.push(user);
    }
    Ok(axum::Json(stats))
}

/// That someone has read a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    #[schema(value_type = values::UserId)]
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    user_id: UserId,
    read_at: Time,
}

/// Who has read a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptStats {
    /// The members who could have read it: all but its sender.
    total_members: u64,
    read_count: u64,
    unread_count: u64,
    read_by: Vec<Receipt>,
    /// How `readBy` goes on, by user.
    pagination: Pagination,
}

/// The query of `GET /conversations/messages/{id}/read-receipts/stats`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReceiptsQuery {
    /// The most readers to tell of.
    #[param(value_type = u32, minimum = 1, maximum = 100, required = false)]
    limit: Option<String>,
    /// Where the page begins.
    #[param(value_type = values::Cursor, required = false)]
    cursor: Option<String>,
}

/// How many receipts there are on a page.
const RECEIPTS: u32 = 100;

/// `GET /conversations/messages/{id}/read-receipts/stats`: who of the members but the sender has read it, and
/// since when.
///
/// # Errors
/// 404 for a message that does not exist for this user.
#[utoipa::path(
    get, path = "/conversations/messages/{id}/read-receipts/stats", operation_id = "countReceipts", tag = "Interactions",
    params(MessagePath, ReceiptsQuery),
    responses((status = 200, description = "The receipts", body = ReceiptStats)),
    extensions(("x-refusals" = json!([
        "400 invalid_cursor", "404 message_not_found", "422 validation_failed"
    ])))
)]
pub async fn receipts(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    MessagePath(id): MessagePath,
    Query(query): Query<ReceiptsQuery>,
) -> Result<axum::Json<ReceiptStats>, ApiError> {
    let limit = page_limit(query.limit.as_deref(), RECEIPTS)?;
    let after = query.cursor.as_deref().map(decode_cursor).transpose()?;
    let range = ReceiptRange {
        limit,
        after: after.as_ref(),
    };
    // Of a message that is hidden there is nothing to see.
    message(&app, &identity, id).await?;
    let page = app
        .read_model
        .receipts(&identity.tenant, &identity.user, id, range)
        .await?;
    let page = page.ok_or_else(ApiError::message_not_found)?;
    let last = page.items.last().filter(|_| page.has_more);
    let next_cursor = last.map(|(reader, _)| URL_SAFE_NO_PAD.encode(reader.as_str()));
    let read_by = page.items.into_iter().map(|(user_id, at)| Receipt {
        user_id,
        read_at: Time(at),
    });
    Ok(axum::Json(ReceiptStats {
        total_members: page.total_members,
        read_count: page.read_count,
        unread_count: page.total_members.saturating_sub(page.read_count),
        read_by: read_by.collect(),
        pagination: Pagination {
            limit,
            has_more: page.has_more,
            next_cursor,
            total: None,
        },
    }))
}

fn decode_cursor(text: &str) -> Result<UserId, ApiError> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let user = text.and_then(|text| UserId::parse(text).ok());
    user.ok_or_else(|| ApiError::bad_request("invalid_cursor", "the cursor is not one of this list"))
}
