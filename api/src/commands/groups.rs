//! Changing groups: what they are called, and who is in them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::conversation::{Command, InfoChange};
use domain::permission::Role;
use domain::values::{Avatar, Description, GroupName};
use domain::{ConversationId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::shown;
use super::{Asked, trace};
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{ConversationPath, Json, LargeJson, MemberPath, UserIdIn, idempotency_key, named};
use crate::openapi::values;
use crate::wire::{Conversation, Member};

/// The body of `PUT /conversations/{id}`. What is missing stays as it is; `null` takes away.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "Orchard", "description": null}))]
pub struct UpdateGroup {
    #[schema(value_type = Option<values::GroupName>)]
    name: Option<String>,
    #[schema(value_type = Option<values::Description>)]
    #[serde(default, deserialize_with = "named")]
    description: Option<Option<String>>,
    #[schema(value_type = Option<values::Avatar>)]
    #[serde(default, deserialize_with = "named")]
    avatar: Option<Option<String>>,
}

impl UpdateGroup {
    fn change(self) -> Result<InfoChange, ApiError> {
        let wrong = |error: domain::values::ValueError| ApiError::invalid_field(&error);
        let description = self
            .description
            .map(|text| text.map(Description::parse).transpose());
        let avatar = self.avatar.map(|url| url.map(Avatar::parse).transpose());
        Ok(InfoChange {
            name: self.name.map(GroupName::parse).transpose().map_err(wrong)?,
            description: description.transpose().map_err(wrong)?,
            avatar: avatar.transpose().map_err(wrong)?,
        })
    }
}

/// `PUT /conversations/{id}`: ADMINs say what the group is called.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 403 for other roles, 422 for a direct one and
/// for values that break their rules.
#[utoipa::path(
    put, path = "/conversations/{id}", operation_id = "updateGroup", tag = "Conversations",
    params(ConversationPath),
    request_body = UpdateGroup,
    responses((status = 200, description = "The conversation as it is now", body = Conversation)),
    extensions(("x-refusals" = json!([
        "403 forbidden", "404 conversation_not_found", "422 direct_without_info"
    ])))
)]
pub async fn update(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
    Json(body): Json<UpdateGroup>,
) -> Result<Response, ApiError> {
    let command = Command::ChangeInfo(body.change()?);
    let asked = Asked::unnamed(&app, &identity, id, &headers);
    let done = asked.carry_out(command, &[]).await?;
    let conversation = shown(&app, &identity, id, done.position).await?;
    Ok(At(done.position, axum::Json(conversation)).into_response())
}

/// `DELETE /conversations/{id}/leave`: who asks is no member of the group any more. An owner hands over to
/// whoever is of the highest role, the longest-standing first; the last one closes the group.
///
/// # Errors
/// 404 when there is no such conversation for who asks, 422 for a direct one.
#[utoipa::path(
    delete, path = "/conversations/{id}/leave", operation_id = "leaveGroup", tag = "Conversations",
    params(ConversationPath),
    responses((status = 204, description = "Who asks is no member any more")),
    extensions(("x-refusals" = json!(["404 conversation_not_found", "422 direct_members_fixed"])))
)]
pub async fn leave(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = Asked::unnamed(&app, &identity, id, &headers);
    let done = asked.carry_out(Command::Leave, &[]).await?;
    app.consistency.settle(&headers, done.position).await;
    Ok(At(done.position, StatusCode::NO_CONTENT).into_response())
}

/// The body of `POST /conversations/{id}/members`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"memberIds": ["dan"], "role": "MEMBER"}))]
pub struct AddMembers {
    #[schema(value_type = Vec<values::UserIdIn>, min_items = 1, max_items = 10_000)]
    member_ids: Vec<UserIdIn>,
    /// MEMBER if it is missing.
    #[schema(value_type = Option<values::Role>)]
    role: Option<Role>,
}

#[derive(Serialize, ToSchema)]
struct Members {
    data: Vec<Member>,
}

/// `POST /conversations/{id}/members`: ADMINs and MODERATORs add members; the answer has all who were named.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 403 for other roles, 422 for a direct one and
/// for too many at once.
#[utoipa::path(
    post, path = "/conversations/{id}/members", operation_id = "addMembers", tag = "Members",
    params(ConversationPath),
    request_body = AddMembers,
    responses((status = 201, description = "All who were named", body = Members)),
    extensions(("x-refusals" = json!([
        "403 forbidden", "404 conversation_not_found", "422 direct_members_fixed",
        "422 too_many_members", "422 idempotency_key_reused"
    ])))
)]
pub async fn add_members(
    State(app): State<Arc<App>>,
    identity: Identity,
    ConversationPath(id): ConversationPath,
    headers: HeaderMap,
    LargeJson(body): LargeJson<AddMembers>,
) -> Result<Response, ApiError> {
    let members: Vec<UserId> = body.member_ids.into_iter().map(|id| id.0).collect();
    if members.is_empty() {
        return Err(ApiError::invalid(
            "validation_failed",
            "memberIds must name someone",
        ));
    }
    let role = body.role.unwrap_or(Role::Member);
    let asked = Asked {
        app: &app,
        identity: &identity,
        conversation: id,
        operation: "add_members",
        key: idempotency_key(&headers)?,
        trace: trace(&headers),
    };
    let mut named: Vec<_> = members.iter().map(|member| member.as_str().as_bytes()).collect();
    named.sort_unstable();
    named.dedup();
    named.push(match role {
        Role::Member => b"MEMBER",
        Role::Moderator => b"MODERATOR",
        Role::Admin => b"ADMIN",
    });
    let command = Command::AddMembers {
        members: members.clone(),
        role,
    };
    let done = asked.carry_out(command, &named).await?;
    let data = members_named(&app, &identity, id, &members, done.position).await?;
    Ok(At(done.position, (StatusCode::CREATED, axum::Json(Members { data }))).into_response())
}

/// `DELETE /conversations/{id}/members/{memberId}`: ADMINs remove anyone but the owner, MODERATORs plain
/// members.
///
/// # Errors
/// 404 for a conversation or member that does not exist for this user, 403 for other roles, 422 for a direct
/// one.
#[utoipa::path(
    delete, path = "/conversations/{id}/members/{memberId}", operation_id = "removeMember", tag = "Members",
    params(MemberPath),
    responses((status = 204, description = "The user is no member any more")),
    extensions(("x-refusals" = json!([
        "403 forbidden", "404 conversation_not_found", "422 direct_members_fixed",
        "404 member_not_found", "422 validation_failed"
    ])))
)]
pub async fn remove_member(
    State(app): State<Arc<App>>,
    identity: Identity,
    MemberPath(id, member): MemberPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = Asked::unnamed(&app, &identity, id, &headers);
    let done = asked.carry_out(Command::RemoveMember { member }, &[]).await?;
    app.consistency.settle(&headers, done.position).await;
    Ok(At(done.position, StatusCode::NO_CONTENT).into_response())
}

/// The body of `PUT /conversations/{id}/members/{memberId}/role`.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"role": "MODERATOR"}))]
pub struct ChangeRole {
    #[schema(value_type = values::Role)]
    role: Role,
}

/// `PUT /conversations/{id}/members/{memberId}/role`: ADMINs give anyone but the owner another role.
///
/// # Errors
/// As [`remove_member`].
#[utoipa::path(
    put, path = "/conversations/{id}/members/{memberId}/role", operation_id = "changeRole", tag = "Members",
    params(MemberPath),
    request_body = ChangeRole,
    responses((status = 200, description = "The member as it is now", body = Member)),
    extensions(("x-refusals" = json!([
        "403 forbidden", "404 conversation_not_found", "422 direct_members_fixed",
        "404 member_not_found"
    ])))
)]
pub async fn change_role(
    State(app): State<Arc<App>>,
    identity: Identity,
    MemberPath(id, member): MemberPath,
    headers: HeaderMap,
    Json(body): Json<ChangeRole>,
) -> Result<Response, ApiError> {
    let command = Command::ChangeRole {
        member: member.clone(),
        role: body.role,
    };
    let asked = Asked::unnamed(&app, &identity, id, &headers);
    let done = asked.carry_out(command, &[]).await?;
    let found = members_named(&app, &identity, id, &[member], done.position).await?;
    let member = found.into_iter().next().ok_or_else(ApiError::not_found)?;
    Ok(At(done.position, axum::Json(member)).into_response())
}

/// Those of the users who are members, in the order they were named, each once.
async fn members_named(
    app: &App,
    identity: &Identity,
    id: ConversationId,
    names: &[UserId],
    position: eventstore::Position,
) -> Result<Vec<Member>, ApiError> {
    let recorded = |error: ApiError| error.recorded_at(position);
    app.consistency.reach(position).await.map_err(recorded)?;
    let mut found = app
        .read_model
        .members_named(&identity.tenant, &identity.user, id, names)
        .await
        .map_err(|error| recorded(error.into()))?;
    let mut places = HashMap::with_capacity(names.len());
    for (place, name) in names.iter().enumerate() {
        places.entry(name).or_insert(place);
    }
    found.sort_by_key(|member| places.get(&member.user_id).copied());
    Ok(found.into_iter().map(Member::from).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_stays_and_null_takes_away() {
        let change = |body| serde_json::from_value::<UpdateGroup>(body).unwrap().change().ok();
        assert_eq!(change(json!({})), Some(InfoChange::default()));
        let found = change(json!({"description": null, "avatar": "https://example.org/a.png"})).unwrap();
        assert_eq!((found.name, found.description), (None, Some(None)));
        assert_eq!(
            found.avatar.flatten().unwrap().as_str(),
            "https://example.org/a.png"
        );
        assert!(change(json!({"avatar": "a.png"})).is_none() && change(json!({"name": ""})).is_none());
    }
}
