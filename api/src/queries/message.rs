//! Single messages: what they are, what they were, and what others make of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use domain::{MessageId, UserId};
use projections::view::MessageView;
use serde::Serialize;

use crate::app::{App, now};
use crate::auth::Identity;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::MessagePath;
use crate::wire::{Message, Time};

/// `GET /conversations/messages/{id}`.
///
/// # Errors
/// 404 for a message that does not exist for this user.
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    content: Option<String>,
    edited_at: Time,
    /// From 1 on.
    version: u64,
    /// Who wrote it.
    user_id: UserId,
}

/// All that a message said.
#[derive(Serialize)]
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
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reacted {
    count: u64,
    user_ids: Vec<UserId>,
}

/// Who reacted to a message, with what.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReactionStats {
    total: u64,
    by_emoji: BTreeMap<String, Reacted>,
    /// What who asks reacted with.
    mine: Vec<String>,
}

/// `GET /conversations/messages/{id}/reactions/stats`.
///
/// # Errors
/// 404 for a message that does not exist for this user.
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    user_id: UserId,
    read_at: Time,
}

/// Who has read a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptStats {
    /// The members who could have read it: all but its sender.
    total_members: u64,
    read_count: u64,
    unread_count: u64,
    read_by: Vec<Receipt>,
}

/// `GET /conversations/messages/{id}/read-receipts/stats`: who of the members but the sender has read it, and
/// since when.
///
/// # Errors
/// 404 for a message that does not exist for this user.
pub async fn receipts(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    MessagePath(id): MessagePath,
) -> Result<axum::Json<ReceiptStats>, ApiError> {
    let (tenant, user) = (&identity.tenant, &identity.user);
    let message = message(&app, &identity, id).await?;
    let conversation = app
        .read_model
        .conversation(tenant, user, id.conversation, now())
        .await?;
    let conversation = conversation.ok_or_else(ApiError::message_not_found)?;
    let sender = app
        .read_model
        .members_named(tenant, user, id.conversation, &[message.sender])
        .await?;
    let receipts = app.read_model.read_by(tenant, user, id).await?;
    let readers: Vec<_> = receipts.iter().map(|(reader, _)| reader.clone()).collect();
    let active = app
        .read_model
        .members_named(tenant, user, id.conversation, &readers)
        .await?;
    let total_members = conversation.member_count.saturating_sub(sender.len() as u64);
    let read_count = active.len() as u64;
    Ok(axum::Json(ReceiptStats {
        total_members,
        read_count,
        unread_count: total_members.saturating_sub(read_count),
        read_by: receipts
            .into_iter()
            .map(|(user_id, at)| Receipt {
                user_id,
                read_at: Time(at),
            })
            .collect(),
    }))
}
