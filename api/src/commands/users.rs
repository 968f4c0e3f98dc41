//! What users are called, and whether they are let in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::UserId;
use domain::user::{Command, ProfileChange, Status};
use domain::values::{Avatar, DisplayName};
use eventstore::Stream;
use eventstore::execute::Request;
use serde::Deserialize;
use utoipa::ToSchema;

use super::trace;
use crate::app::App;
use crate::auth::Identity;
use crate::consistency::At;
use crate::error::ApiError;
use crate::extract::{Json, UserPath, named};
use crate::openapi::values;
use crate::wire::Account;

/// The body of `PUT /users/me`. What is missing stays as it is; `null` takes the picture away.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "Annie", "avatar": null}))]
pub struct UpdateProfile {
    #[schema(value_type = Option<values::DisplayName>)]
    name: Option<String>,
    #[schema(value_type = Option<values::Avatar>)]
    #[serde(default, deserialize_with = "named")]
    avatar: Option<Option<String>>,
}

/// The body of `PUT /users/{id}`. What is missing stays as it is; `null` takes the picture away.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"status": "BLOCKED"}))]
pub struct UpdateUser {
    #[schema(value_type = Option<values::DisplayName>)]
    name: Option<String>,
    #[schema(value_type = Option<values::Avatar>)]
    #[serde(default, deserialize_with = "named")]
    avatar: Option<Option<String>>,
    #[schema(value_type = Option<values::Status>)]
    status: Option<Status>,
}

fn profile(name: Option<String>, avatar: Option<Option<String>>) -> Result<ProfileChange, ApiError> {
    let wrong = |error: domain::values::ValueError| ApiError::invalid_field(&error);
    let avatar = avatar.map(|url| url.map(Avatar::parse).transpose());
    Ok(ProfileChange {
        name: name.map(DisplayName::parse).transpose().map_err(wrong)?,
        avatar: avatar.transpose().map_err(wrong)?,
    })
}

/// `PUT /users/me`: what who asks is called, until the identity provider says something new.
///
/// # Errors
/// 422 for values that break their rules, and when a user who is not called anything yet gives no name.
#[utoipa::path(
    put, path = "/users/me", operation_id = "updateMe", tag = "Users",
    request_body = UpdateProfile,
    responses((status = 200, description = "The user as it is now", body = Account)),
    extensions(("x-refusals" = json!(["422 nameless"])))
)]
pub async fn update_me(
    State(app): State<Arc<App>>,
    identity: Identity,
    headers: HeaderMap,
    Json(body): Json<UpdateProfile>,
) -> Result<Response, ApiError> {
    let user = identity.user.clone();
    // What the token says came first.
    app.met(&identity).await?;
    let profile = profile(body.name, body.avatar)?;
    change(&app, &identity, &headers, user, profile, None).await
}

/// `PUT /users/{id}`: a backend says what a user is called, and whether the user is let in.
///
/// # Errors
/// 403 for a token without the scope `service`, 422 as for [`update_me`].
#[utoipa::path(
    put, path = "/users/{id}", operation_id = "updateUser", tag = "Users",
    params(UserPath),
    request_body = UpdateUser,
    responses((status = 200, description = "The user as it is now", body = Account)),
    extensions(("x-refusals" = json!(["403 forbidden", "422 nameless"])))
)]
pub async fn update(
    State(app): State<Arc<App>>,
    identity: Identity,
    user: Result<UserPath, ApiError>,
    headers: HeaderMap,
    Json(body): Json<UpdateUser>,
) -> Result<Response, ApiError> {
    if !identity.is_service {
        return Err(ApiError::not_a_service());
    }
    let UserPath(user) = user?;
    let profile = profile(body.name, body.avatar)?;
    change(&app, &identity, &headers, user, profile, body.status).await
}

async fn change(
    app: &App,
    identity: &Identity,
    headers: &HeaderMap,
    user: UserId,
    profile: ProfileChange,
    status: Option<Status>,
) -> Result<Response, ApiError> {
    let stream = Stream::User(identity.tenant.clone(), user.clone());
    let request = Request {
        command: Command::Change {
            user: user.clone(),
            profile,
            status,
        },
        actor: Some(identity.user.clone()),
        tag: None,
        trace: trace(headers),
    };
    let position = app.users.execute(&stream, request).await?.position();
    app.consistency.wrote(identity, position);
    let recorded = |error: ApiError| error.recorded_at(position);
    app.consistency.reach(position).await.map_err(recorded)?;
    // Whoever is blocked is kept out here before the answer is there, and elsewhere soon after.
    app.standing
        .look()
        .await
        .map_err(|error| recorded(error.into()))?;
    let mut profiles = app
        .read_model
        .profiles(&identity.tenant, std::slice::from_ref(&user))
        .await
        .map_err(|error| recorded(error.into()))?;
    let profile = profiles.remove(&user).unwrap_or_default();
    let account = Account::of(user, profile, true);
    Ok(At(position, axum::Json(account)).into_response())
}
