//! Every route, in one place.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::commands::{attachments, changes, conversations, groups, keeping, messages, push, reads, users};
use crate::cors::{self, Origin};
use crate::error::ApiError;
use crate::openapi::{self, Api, Document};
use crate::{figures, health, queries, realtime, request, web};

/// Every endpoint. Only what describes itself can be one.
#[must_use]
pub fn endpoints() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(queries::conversations::list))
        .routes(routes!(queries::conversations::stats))
        .routes(routes!(conversations::create_direct))
        .routes(routes!(conversations::create_group))
        .routes(routes!(messages::send))
        .routes(routes!(reads::mark_read))
        .routes(routes!(reads::mark_unread))
        .routes(routes!(queries::search::search))
        .routes(routes!(queries::message::get, changes::edit, changes::delete))
        .routes(routes!(queries::message::history))
        .routes(routes!(changes::react, changes::unreact))
        .routes(routes!(queries::message::reactions))
        .routes(routes!(queries::message::receipts))
        .routes(routes!(queries::conversations::get, groups::update))
        .routes(routes!(keeping::archive))
        .routes(routes!(keeping::unarchive))
        .routes(routes!(keeping::mute))
        .routes(routes!(keeping::unmute))
        .routes(routes!(groups::leave))
        .routes(routes!(queries::members::page, groups::add_members))
        .routes(routes!(groups::remove_member))
        .routes(routes!(groups::change_role))
        .routes(routes!(queries::messages::page))
        .routes(routes!(queries::messages::stats))
        // Bodies are counted while they come in, and large ones are what this is for.
        .merge(
            OpenApiRouter::new()
                .routes(routes!(attachments::upload))
                .layer(DefaultBodyLimit::disable()),
        )
        .routes(routes!(queries::attachments::fetch))
        .routes(routes!(queries::attachments::url))
        .routes(routes!(queries::users::list))
        .routes(routes!(users::update_me))
        .routes(routes!(users::update))
        .routes(routes!(push::list, push::subscribe))
        .routes(routes!(push::unsubscribe))
        .routes(routes!(push::public_key))
        .routes(routes!(realtime::socket::upgrade))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::document))
        .routes(routes!(web::page))
        .routes(routes!(web::style))
        .routes(routes!(web::script))
}

/// The public API, for pages of these origins too.
pub fn router(app: Arc<App>, origins: &[Origin]) -> Router {
    figures::describe();
    let (endpoints, gathered) = endpoints().split_for_parts();
    let router = endpoints
        .fallback(|| async { ApiError::no_such_path() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(Extension(Arc::new(Document::of(gathered))))
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
