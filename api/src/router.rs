//! Every route, in one place.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::commands::{changes, conversations, groups, keeping, messages, push, reads, users};
use crate::commands::{attachments, changes, conversations, groups, keeping, messages, reads};
use crate::cors::{self, Origin};
use crate::error::ApiError;
use crate::{figures, health, queries, realtime, request};

/// The public API, for pages of these origins too.
pub fn router(app: Arc<App>, origins: &[Origin]) -> Router {
    figures::describe();
    let router = Router::new()
        .route("/conversations", get(queries::conversations::list))
        .route("/conversations/stats", get(queries::conversations::stats))
        .route("/conversations/direct", post(conversations::create_direct))
        .route("/conversations/group", post(conversations::create_group))
        .route("/conversations/messages", post(messages::send))
        .route("/conversations/messages/read", post(reads::mark_read))
        .route("/conversations/messages/unread", post(reads::mark_unread))
        .route("/conversations/messages/search", get(queries::search::search))
        .route(
            "/conversations/messages/{id}",
            get(queries::message::get)
                .put(changes::edit)
                .delete(changes::delete),
        )
        .route(
            "/conversations/messages/{id}/history",
            get(queries::message::history),
        )
        .route(
            "/conversations/messages/{id}/react",
            post(changes::react).delete(changes::unreact),
        )
        .route(
            "/conversations/messages/{id}/reactions/stats",
            get(queries::message::reactions),
        )
        .route(
            "/conversations/messages/{id}/read-receipts/stats",
            get(queries::message::receipts),
        )
        .route(
            "/conversations/{id}",
            get(queries::conversations::get).put(groups::update),
        )
        .route("/conversations/{id}/archive", post(keeping::archive))
        .route("/conversations/{id}/unarchive", post(keeping::unarchive))
        .route("/conversations/{id}/mute", post(keeping::mute))
        .route("/conversations/{id}/unmute", post(keeping::unmute))
        .route("/conversations/{id}/leave", delete(groups::leave))
        .route(
            "/conversations/{id}/members",
            get(queries::members::page).post(groups::add_members),
        )
        .route(
            "/conversations/{id}/members/{member_id}",
            delete(groups::remove_member),
        )
        .route(
            "/conversations/{id}/members/{member_id}/role",
            put(groups::change_role),
        )
        .route("/conversations/{id}/messages", get(queries::messages::page))
        .route(
            "/conversations/{id}/messages/stats",
            get(queries::messages::stats),
        )
        // Bodies are counted while they come in, and large ones are what this is for.
        .route(
            "/attachments",
            post(attachments::upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/attachments/{id}", get(queries::attachments::fetch))
        .route("/attachments/{id}/url", get(queries::attachments::url))
        .route("/users", get(queries::users::list))
        .route("/users/me", put(users::update_me))
        .route("/users/{id}", put(users::update))
        .route(
            "/users/me/push-subscriptions",
            get(push::list).post(push::subscribe),
        )
        .route("/users/me/push-subscriptions/{id}", delete(push::unsubscribe))
        .route("/push/public-key", get(push::public_key))
        .route("/ws", get(realtime::upgrade))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(|| async { ApiError::no_such_path() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(CatchPanicLayer::custom(|_| ApiError::internal().into_response()))
        .route_layer(middleware::from_fn(observe))
        .layer(middleware::from_fn(request::identify))
        .with_state(app);
    match cors::layer(origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Counts and times a request by its route; never by its path, which names people.
async fn observe(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let began = Instant::now();
    let response = next.run(request).await;
    let labels = [
        ("method", method.as_str().to_owned()),
        ("route", route.unwrap_or_default()),
        ("status", response.status().as_str().to_owned()),
    ];
    metrics::counter!("verbatim_http_requests_total", &labels).increment(1);
    metrics::histogram!("verbatim_http_request_seconds", &labels[..2]).record(began.elapsed().as_secs_f64());
    response
}
