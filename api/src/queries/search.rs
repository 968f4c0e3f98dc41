//! Searching messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::conversation::MessageKind;
use domain::{ConversationId, MessageId, UserId};
use search_indexer::{Facets, Filters, SearchCursor, SearchError, SearchRequest};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{Query, page_limit};
use crate::wire::{Message, Page, Pagination};

const DEFAULT_LIMIT: u32 = 20;
/// How far the index was when it answered.
const X_INDEXED_POSITION: HeaderName = HeaderName::from_static("x-indexed-position");

/// The query of `GET /conversations/messages/search`.
#[derive(Deserialize)]
pub struct SearchQuery {
    q: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    page: Page<Message>,
    facets: FacetCounts,
}

/// How many messages match, by what they are.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FacetCounts {
    by_type: BTreeMap<&'static str, u64>,
    by_user: BTreeMap<UserId, u64>,
    by_conversation: BTreeMap<ConversationId, u64>,
}

/// `GET /conversations/messages/search`: newest first, over the conversations of which the user is an
/// active member. `X-Indexed-Position` says how far the index is.
///
/// # Errors
/// 422 for a query without a word or a limit beyond its range, 400 for a cursor that is none.
pub async fn search(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    Query(query): Query<SearchQuery>,
) -> Result<Response, ApiError> {
    let limit = page_limit(query.limit.as_deref(), DEFAULT_LIMIT)?;
    let text = query
        .q
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ApiError::invalid("validation_failed", "q must say what to search for"))?;
    let cursor: Option<SearchCursor> = query
        .cursor
        .map(|cursor| cursor.parse())
        .transpose()
        .map_err(|_| ApiError::bad_request("invalid_cursor", "the cursor is not one of a search"))?;
    let conversations = app
        .read_model
        .active_conversations(&identity.tenant, &identity.user)
        .await?;
    let request = SearchRequest {
        tenant: identity.tenant.clone(),
        conversations: conversations.to_vec(),
        text,
        limit: limit as usize,
        cursor,
        filters: Filters::default(),
    };
    let found = app.search.query(request).await.map_err(refused)?;
    let ids: Vec<MessageId> = found.hits.iter().map(|hit| hit.id).collect();
    let mut messages = app
        .read_model
        .hydrate(&identity.tenant, &identity.user, &ids)
        .await?;
    // The index is a moment behind: that a word was in what is deleted now is told by nothing.
    messages.retain(|message| message.deleted_at.is_none());
    let dropped = (ids.len() - messages.len()) as u64;
    let pagination = Pagination {
        limit,
        has_more: found.next.is_some(),
        next_cursor: found.next.map(|cursor| cursor.to_string()),
        total: Some(found.total.saturating_sub(dropped)),
    };
    let shown = |message| Message::from_view(message, &app.links);
    let data = messages.into_iter().map(shown).collect();
    let body = Found {
        page: Page { data, pagination },
        facets: found.facets.into(),
    };
    let mut response = axum::Json(body).into_response();
    for position in found.indexed {
        if let Ok(value) = HeaderValue::from_str(&position.to_string()) {
            response.headers_mut().append(X_INDEXED_POSITION, value);
        }
    }
    Ok(response)
}

impl From<Facets> for FacetCounts {
    fn from(facets: Facets) -> Self {
        let by_type = facets
            .by_type
            .into_iter()
            .map(|(kind, count): (MessageKind, u64)| (kind.as_str(), count));
        Self {
            by_type: by_type.collect(),
            by_user: facets.by_user.into_iter().collect(),
            by_conversation: facets.by_conversation.into_iter().collect(),
        }
    }
}

fn refused(error: SearchError) -> ApiError {
    match error {
        SearchError::Failed(_) => {
            tracing::error!(%error, "the search index did not answer");
            ApiError::unavailable("search_unavailable", "the search index is unavailable; try again")
        }
        refused => ApiError::invalid("invalid_search", refused.to_string()),
    }
}
