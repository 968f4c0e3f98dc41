//! Creating conversations.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::conversation::{Command, GroupInfo};
use domain::values::{Avatar, Description, GroupName};
use domain::{ClientId, ConversationId, UserId};
use eventstore::execute::Outcome;
use serde::Deserialize;
use ulid::Ulid;
use utoipa::ToSchema;

use super::asked::shown;
use super::repeats::{Keyed, Original};
use super::{Asked, trace};
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{Json, LargeJson, UserIdIn, idempotency_key};
use crate::openapi::values;
use crate::wire::Conversation;

/// What a keyed command that opens a direct conversation is called.
const CREATE_DIRECT: &str = "create_direct";

/// The body of `POST /conversations/direct`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"recipientId": "bob"}))]
pub struct CreateDirect {
    #[schema(value_type = values::UserIdIn)]
    recipient_id: UserIdIn,
}

/// `POST /conversations/direct`: the conversation with someone, the same for both whoever asks first. With
/// an `Idempotency-Key`, a repeat is answered as the original was.
///
/// # Errors
/// 422 for a conversation with oneself, and for a key that was used with someone else.
#[utoipa::path(
    post, path = "/conversations/direct", operation_id = "openDirectConversation", tag = "Conversations",
    request_body = CreateDirect,
    responses(
        (status = 201, description = "It was opened", body = Conversation),
        (status = 200, description = "It existed", body = Conversation),
    ),
    extensions(("x-refusals" = json!([
        "409 conversation_exists", "422 direct_with_self", "422 idempotency_key_reused"
    ])))
)]
pub async fn create_direct(
    State(app): State<Arc<App>>,
    identity: Identity,
    headers: HeaderMap,
    Json(body): Json<CreateDirect>,
) -> Result<Response, ApiError> {
    let recipient = body.recipient_id.0;
    let key = idempotency_key(&headers)?;
    let keyed = key
        .clone()
        .map(|key| Keyed::new(&identity, CREATE_DIRECT, key, &[recipient.as_str().as_bytes()]));
    if let Some(keyed) = &keyed {
        app.repeats.original(keyed)?;
    }
    let id = ConversationId::direct(&identity.tenant, &identity.user, &recipient);
    let command = Command::CreateDirect { with: recipient };
    let created = create(&app, &identity, &headers, id, command, key).await?;
    if let Some(keyed) = keyed {
        let original = Original {
            position: created.0,
            unread: 0,
        };
        app.repeats.remember(keyed, original);
    }
    Ok(created.into_response())
}

/// The body of `POST /conversations/group`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"name": "Garden", "memberIds": ["bob", "cat"]}))]
pub struct CreateGroup {
    #[schema(value_type = values::GroupName)]
    name: String,
    #[schema(value_type = Option<values::Description>)]
    description: Option<String>,
    #[schema(value_type = Option<values::Avatar>)]
    avatar: Option<String>,
    /// Doubles are counted; who asks need not be named.
    #[schema(value_type = Vec<values::UserIdIn>, max_items = 10_000)]
    member_ids: Vec<UserIdIn>,
}

/// `POST /conversations/group`: a group whose owner and first ADMIN is who asks. With an
/// `Idempotency-Key`, a repeat gets the same group.
///
/// # Errors
/// 422 for values that break their rules, and for a key that was used with another payload.
#[utoipa::path(
    post, path = "/conversations/group", operation_id = "createGroup", tag = "Conversations",
    request_body = CreateGroup,
    responses((status = 201, description = "The group", body = Conversation)),
    extensions(("x-refusals" = json!([
        "409 conversation_exists", "422 too_many_members", "422 idempotency_key_reused"
    ])))
)]
pub async fn create_group(
    State(app): State<Arc<App>>,
    identity: Identity,
    headers: HeaderMap,
    LargeJson(body): LargeJson<CreateGroup>,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers)?;
    let about = GroupInfo {
        name: GroupName::parse(body.name).map_err(|error| ApiError::invalid_field(&error))?,
        description: body
            .description
            .map(Description::parse)
            .transpose()
            .map_err(|error| ApiError::invalid_field(&error))?,
        avatar: body
            .avatar
            .map(Avatar::parse)
            .transpose()
            .map_err(|error| ApiError::invalid_field(&error))?,
    };
    let members: Vec<UserId> = body.member_ids.into_iter().map(|id| id.0).collect();
    let id = key.as_ref().map_or_else(
        || ConversationId::from(Ulid::generate()),
        |key| ConversationId::keyed(&identity.tenant, &identity.user, key),
    );
    create(
        &app,
        &identity,
        &headers,
        id,
        Command::CreateGroup { members, about },
        key,
    )
    .await
    .map(IntoResponse::into_response)
}

type Created = (StatusCode, axum::Json<Conversation>);

async fn create(
    app: &App,
    identity: &Identity,
    headers: &HeaderMap,
    id: ConversationId,
    command: Command,
    key: Option<ClientId>,
) -> Result<At<Created>, ApiError> {
    let payload = payload(&command, &identity.user);
    let parts: Vec<&[u8]> = payload.iter().map(|part| part.as_bytes()).collect();
    let operation = match &command {
        Command::CreateDirect { .. } => CREATE_DIRECT,
        _ => "create_group",
    };
    let asked = Asked {
        app,
        identity,
        conversation: id,
        operation,
        key,
        trace: trace(headers),
    };
    let done = asked.carry_out(command.clone(), &parts).await?;
    let status = if matches!(done.outcome, Outcome::Unchanged { .. }) {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let conversation = shown(app, identity, id, done.position).await?;
    Ok(At(done.position, (status, axum::Json(conversation))))
}

/// What makes two creations the same. Members are a set, and who asks is one of them in any case.
fn payload<'a>(command: &'a Command, founder: &UserId) -> Vec<&'a str> {
    let Command::CreateGroup { members, about } = command else {
        return Vec::new();
    };
    let mut parts = vec![
        about.name.as_str(),
        about.description.as_ref().map_or("", Description::as_str),
        about.avatar.as_ref().map_or("", Avatar::as_str),
    ];
    let others: BTreeSet<_> = members.iter().filter(|member| *member != founder).collect();
    parts.extend(others.into_iter().map(UserId::as_str));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_members_in_any_order_are_the_same_group() {
        let user = |name: &&str| UserId::parse(*name).unwrap();
        let payload = |members: &[&str]| {
            let command = Command::CreateGroup {
                members: members.iter().map(user).collect(),
                about: GroupInfo {
                    name: GroupName::parse("Garden").unwrap(),
                    description: None,
                    avatar: None,
                },
            };
            let parts = super::payload(&command, &user(&"ann"));
            parts.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let once = payload(&["bob", "cat"]);
        assert_eq!(payload(&["cat", "bob", "cat"]), once);
        assert_eq!(payload(&["ann", "cat", "bob"]), once);
        assert_ne!(payload(&["bob"]), once);
    }
}
