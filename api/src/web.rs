//! What people look at: the API, as its document describes it. The page carries all that it needs; nothing is
//! fetched from anywhere else, and nothing else may run in it.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// What the page may do: load its own style and script, and ask this very server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, text).into_response()
}

/// `GET /docs`: the API for people to read and to try.
#[utoipa::path(
    get, path = "/docs", operation_id = "getPage", tag = "Node", security(()),
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
pub async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("web/docs.html"))
}

/// `GET /docs/docs.css`: how the page looks.
#[utoipa::path(
    get, path = "/docs/docs.css", operation_id = "getStyle", tag = "Node", security(()),
    responses((status = 200, description = "The style", content_type = "text/css", body = String)),
)]
pub async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("web/docs.css"))
}

/// `GET /docs/docs.js`: what the page does.
#[utoipa::path(
    get, path = "/docs/docs.js", operation_id = "getScript", tag = "Node", security(()),
    responses((status = 200, description = "The script", content_type = "text/javascript", body = String)),
)]
pub async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("web/docs.js"))
}
