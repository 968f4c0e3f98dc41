//! Who is in a conversation.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{ConversationPath, Query, page_limit};
use crate::openapi::values;
use crate::wire::{Member, Page, Pagination};

const DEFAULT_LIMIT: u32 = 50;

/// The query of `GET /conversations/{id}/members`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MembersQuery {
    /// The most members of a page.
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
    /// The `nextCursor` of the page before.
    #[param(value_type = Option<values::Cursor>, nullable = false)]
    cursor: Option<String>,
}

/// `GET /conversations/{id}/members`: the active ones, the longest-standing first.
///
/// # Errors
/// 404 for a conversation that does not exist for this user, 400 for a cursor that is none, 422 for a limit
/// beyond its range.
#[utoipa::path(
    get, path = "/conversations/{id}/members", operation_id = "listMembers", tag = "Members",
    params(ConversationPath, MembersQuery),
    responses((status = 200, description = "A page of members", body = Page<Member>)),
    extensions(("x-refusals" = json!([
        "400 invalid_cursor", "404 conversation_not_found", "422 validation_failed"
    ])))
)]
pub async fn page(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    ConversationPath(id): ConversationPath,
    Query(query): Query<MembersQuery>,
) -> Result<axum::Json<Page<Member>>, ApiError> {
    let limit = page_limit(query.limit.as_deref(), DEFAULT_LIMIT)?;
    let from = query.cursor.map(|cursor| cursor.parse()).transpose();
    let from =
        from.map_err(|_| ApiError::bad_request("invalid_cursor", "the cursor is not one of this list"))?;
    let page = app
        .read_model
        .member_page(&identity.tenant, &identity.user, id, from.unwrap_or(0), limit)
        .await?;
    let page = page.ok_or_else(ApiError::not_found)?;
    Ok(axum::Json(Page {
        data: page.items.into_iter().map(Member::from).collect(),
        pagination: Pagination {
            limit,
            has_more: page.next.is_some(),
            next_cursor: page.next.map(|standing| standing.to_string()),
            total: None,
        },
    }))
}
