//! What people are called.

use std::sync::Arc;

use axum::extract::State;
use domain::UserId;
use domain::user::Status;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::Query;
use crate::wire::User;

/// The most users that are asked for at once.
const MOST: usize = 100;

/// The query of `GET /users`.
#[derive(Deserialize)]
pub struct UsersQuery {
    /// Ids with commas between them.
    ids: Option<String>,
}

/// A user; only backends are told whether the user is let in.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    user: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// Users, in the order they were asked for.
#[derive(Serialize)]
pub struct Users {
    data: Vec<Listed>,
}

/// `GET /users?ids=…`: what each of them is called, as far as that is known.
///
/// # Errors
/// 422 for ids that are none, and for too many.
pub async fn list(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    Query(query): Query<UsersQuery>,
) -> Result<axum::Json<Users>, ApiError> {
    let ids = query.ids.unwrap_or_default();
    let ids: Result<Vec<_>, _> = ids.split(',').map(UserId::parse).collect();
    let ids = ids.map_err(|error| ApiError::invalid_field(&error).of_field("ids"))?;
    if ids.len() > MOST {
        return Err(ApiError::invalid(
            "validation_failed",
            format!("ids: at most {MOST} users can be asked for at once"),
        ));
    }
    let mut profiles = app.read_model.profiles(&identity.tenant, &ids).await?;
    let data = ids
        .into_iter()
        .filter_map(|id| {
            let profile = profiles.remove(&id)?;
            Some(Listed {
                status: identity.is_service.then_some(profile.status),
                user: User::of(id, profile),
            })
        })
        .collect();
    Ok(axum::Json(Users { data }))
}
