//! What people are called.

use std::sync::Arc;

use axum::extract::State;
use domain::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::Query;
use crate::openapi::values;
use crate::wire::Account;

/// The most users that are asked for at once.
const MOST: usize = 100;

/// The query of `GET /users`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsersQuery {
    /// At most 100 ids, with commas between them.
    #[param(value_type = Vec<values::ListedUserId>, style = Form, explode = false, min_items = 1, max_items = 100)]
    ids: Option<String>,
}

/// Users, in the order they were asked for.
#[derive(Serialize, ToSchema)]
pub struct Users {
    data: Vec<Account>,
}

/// `GET /users?ids=…`: what each of them is called, as far as that is known.
///
/// # Errors
/// 422 for ids that are none, and for too many.
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers", tag = "Users",
    params(UsersQuery),
    responses((status = 200, description = "Those of them that are known", body = Users)),
    extensions(("x-refusals" = json!(["422 validation_failed"])))
)]
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
            Some(Account::of(id, profile, identity.is_service))
        })
        .collect();
    Ok(axum::Json(Users { data }))
}
