//! Searching messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::conversation::MessageKind;
use domain::{ConversationId, MessageId, Timestamp, UserId};
use search_indexer::{Facets, Filters, SearchCursor, SearchError, SearchRequest};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::consistency::Reader;
use crate::error::ApiError;
use crate::extract::{Query, conversation_id, instant, page_limit};
use crate::openapi::values;
use crate::wire::{Message, Page, Pagination};

const DEFAULT_LIMIT: u32 = 20;
/// How far the index was when it answered.
const X_INDEXED_POSITION: HeaderName = HeaderName::from_static("x-indexed-position");

/// The query of `GET /conversations/messages/search`.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words, and `"quoted words"` next to each other; all of them must be in a message.
    #[param(value_type = String, min_length = 1, example = "tomatoes")]
    q: Option<String>,
    /// Only messages of this type.
    #[serde(rename = "type")]
    #[param(value_type = Option<values::MessageType>, nullable = false)]
    kind: Option<String>,
    /// Only messages of this user.
    #[param(value_type = Option<values::UserId>, nullable = false)]
    from_user_id: Option<String>,
    /// Only messages of this conversation.
    #[param(value_type = Option<values::ConversationId>, nullable = false)]
    conversation_id: Option<String>,
    /// Only messages that were sent then or later: a time as in RFC 3339.
    #[param(value_type = Option<String>, nullable = false, format = DateTime)]
    date_from: Option<String>,
    /// Only messages that were sent then or earlier: a time as in RFC 3339.
    #[param(value_type = Option<String>, nullable = false, format = DateTime)]
    date_to: Option<String>,
    /// The most hits of a page.
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// The `nextCursor` of the page before.
    #[param(value_type = Option<values::Cursor>, nullable = false)]
    cursor: Option<String>,
}

impl SearchQuery {
    fn filters(&self) -> Result<Filters, ApiError> {
        let wrong = |detail: &'static str| ApiError::invalid("validation_failed", detail);
        let kind = self.kind.as_deref();
        let kind =
            kind.map(|name| MessageKind::parse(name).ok_or_else(|| wrong("type is not a type of message")));
        let user = self.from_user_id.as_deref().map(UserId::parse).transpose();
        let time =
            |field, text: &Option<String>| text.as_deref().map(|text| instant(field, text)).transpose();
        // What the index takes ends before a time, and what is asked for ends with one.
        let after = |time: Timestamp| Timestamp::from_millis(time.as_millis() + 1);
        Ok(Filters {
            kind: kind.transpose()?,
            user: user.map_err(|error| ApiError::invalid_field(&error).of_field("fromUserId"))?,
            conversation: self.conversation_id.as_deref().map(conversation_id).transpose()?,
            sent_from: time("dateFrom", &self.date_from)?,
            sent_before: time("dateTo", &self.date_to)?.map(after),
        })
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = SearchPage)]
struct Found {
    #[serde(flatten)]
    page: Page<Message>,
    facets: FacetCounts,
}

/// How many messages match, by what they are.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Facets)]
struct FacetCounts {
    #[schema(value_type = BTreeMap<String, u64>)]
    by_type: BTreeMap<&'static str, u64>,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_user: BTreeMap<UserId, u64>,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_conversation: BTreeMap<ConversationId, u64>,
}

/// `GET /conversations/messages/search`: newest first, over the conversations of which the user is an
/// active member. `X-Indexed-Position` says how far the index is.
///
/// # Errors
/// 422 for a query without a word, a limit beyond its range or a filter that says nothing, 400 for a cursor that is
/// none, 404 for a conversation that does not exist for this user.
#[utoipa::path(
    get, path = "/conversations/messages/search", operation_id = "searchMessages", tag = "Messages",
    params(SearchQuery),
    responses((status = 200, description = "A page of hits", body = Found,
        headers(("X-Indexed-Position" = String, description = "How far the index is: a position for each shard")))),
    extensions(("x-refusals" = json!([
        "400 invalid_cursor", "404 conversation_not_found", "422 validation_failed", "422 invalid_search", "503 search_unavailable"
    ])))
)]
pub async fn search(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
    Query(query): Query<SearchQuery>,
) -> Result<Response, ApiError> {
    let limit = page_limit(query.limit.as_deref(), DEFAULT_LIMIT)?;
    let filters = query.filters()?;
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
    let is_own = |wanted| conversations.contains(&wanted);
    if !filters.conversation.is_none_or(is_own) {
        return Err(ApiError::not_found());
    }
    let request = SearchRequest {
        tenant: identity.tenant.clone(),
        conversations: conversations.to_vec(),
        text,
        limit: limit as usize,
        cursor,
        filters,
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
