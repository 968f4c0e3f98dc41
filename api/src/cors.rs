//! Which web pages of other origins may use the API: none, unless it is configured.
//!
//! Nothing here lets anyone in: pages need a token like everyone else, and there are no cookies.

use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser need not ask again: as long as any of them remembers.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);
/// What pages may send beside what they always may.
const SENT: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-min-position"),
    HeaderName::from_static("x-request-id"),
];
/// What they may read beside what they always may.
const READ: [HeaderName; 11] = [
    header::ACCEPT_RANGES,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::ETAG,
    header::RETRY_AFTER,
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    HeaderName::from_static("x-indexed-position"),
    HeaderName::from_static("x-position"),
    HeaderName::from_static("x-request-id"),
];

/// An origin, as browsers write it, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `*`.
    Any,
    /// `https://chat.example.com`.
    One(HeaderValue),
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
        let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
            !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '?', '#', '@', '*', ','])
        });
        let value = HeaderValue::from_str(text).ok();
        value
            .filter(|_| is_origin && text.bytes().all(is_plain))
            .map(Self::One)
            .ok_or_else(|| {
                format!(
                    "{text:?} is neither * nor an origin as browsers write it: https://chat.example.com, in \
                     lower case, with its port if it has one and without a path"
                )
            })
    }
}

/// Lets pages of these origins use the API; `None` when there are none.
#[must_use]
pub fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    let one = |origin: &Origin| match origin {
        Origin::Any => None,
        Origin::One(value) => Some(value.clone()),
    };
    let allowed = if origins.is_empty() {
        return None;
    } else if origins.contains(&Origin::Any) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(one))
    };
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
    ];
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(methods)
        .allow_headers(SENT)
        .expose_headers(READ)
        .max_age(REMEMBERED);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, Response};
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn an_origin_has_a_scheme_and_a_host_and_no_more() {
        for good in [
            "*",
            "https://chat.example.com",
            "http://localhost:3000",
            "capacitor://localhost",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "null",
            "chat.example.com",
            "https://",
            "https://x/",
            "https://*.x",
            "https://X",
            "https://u@x",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    async fn ask(origins: &[&str], method: &str, from: &str) -> Response<Body> {
        let origins: Vec<Origin> = origins.iter().map(|origin| origin.parse().unwrap()).collect();
        let router = Router::new().route("/", get(|| async { "hello" }));
        let router = match layer(&origins) {
            Some(layer) => router.layer(layer),
            None => router,
        };
        let request = Request::builder()
            .method(method)
            .uri("/")
            .header("origin", from)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
        response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn only_origins_that_are_named_may_read() {
        let (ours, theirs) = ("https://chat.example.com", "https://evil.example.com");
        for (origins, from, allowed) in [
            (&[][..], ours, ""),
            (&[ours], ours, ours),
            (&[ours], theirs, ""),
            (&["http://localhost:3000", ours], ours, ours),
            (&["*"], theirs, "*"),
        ] {
            for method in ["GET", "OPTIONS"] {
                let answer = ask(origins, method, from).await;
                assert_eq!(
                    header(&answer, "access-control-allow-origin"),
                    allowed,
                    "{origins:?} {from}"
                );
                assert_eq!(header(&answer, "access-control-allow-credentials"), "");
            }
        }
        let preflight = ask(&[ours], "OPTIONS", ours).await;
        assert_eq!(header(&preflight, "access-control-max-age"), "7200");
        assert!(header(&preflight, "access-control-allow-headers").contains("authorization"));
        assert!(header(&preflight, "access-control-allow-methods").contains("DELETE"));
        let answer = ask(&[ours], "GET", ours).await;
        for name in ["x-position", "retry-after", "ratelimit-remaining", "x-request-id"] {
            assert!(
                header(&answer, "access-control-expose-headers").contains(name),
                "{name}"
            );
        }
    }
}
