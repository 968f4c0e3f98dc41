//! Errors as people and clients see them: RFC 9457 problem documents with a stable `code`.
//!
//! Which one to use where: a body or query that cannot be read is [`ApiError::bad_request`], one that
//! can be read and breaks a rule is [`ApiError::invalid`]; what does not exist for this user is
//! [`ApiError::not_found`], whether or not it exists for someone else. Everything that may pass by
//! itself is [`ApiError::unavailable`], with a `Retry-After`. Every answer over HTTP names its request.

use std::borrow::Cow;
use std::num::NonZeroU32;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use eventstore::Position;
use serde::Serialize;

use crate::consistency::At;
use crate::request;

pub mod codes;
mod refusals;

pub use refusals::about_message;

/// Seconds after which a client may try again what was unavailable.
const RETRY_AFTER: &str = "1";

/// A problem document.
#[derive(Clone, Debug, Serialize)]
pub struct ApiError {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "status_number")]
    status: StatusCode,
    /// Stable: a client may depend on it.
    code: &'static str,
    detail: Cow<'static, str>,
    /// Where what was asked for was recorded all the same.
    #[serde(skip)]
    recorded: Option<Box<Position>>,
    /// Seconds after which it may be tried again, where that is known.
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    retry_after: Option<NonZeroU32>,
}

/// A problem document as the answer to a request, which has an id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    #[serde(flatten)]
    error: &'a ApiError,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's serialize_with passes a reference"
)]
fn status_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl ApiError {
    /// The code of a request that has no token at all.
    pub const TOKEN_MISSING: &'static str = "token_missing";
    /// The code of a request of a user who is kept out.
    pub const USER_BLOCKED: &'static str = "user_blocked";
    /// The code of a request of a user whose account is not in use.
    pub const USER_INACTIVE: &'static str = "user_inactive";

    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!(
            codes::meaning(status.as_u16(), code).is_some(),
            "{status} {code} is not in the list of codes"
        );
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            code,
            detail: detail.into(),
            recorded: None,
            retry_after: None,
        }
    }

    /// What was asked for was recorded there, and only its answer cannot be given.
    #[must_use]
    pub fn recorded_at(self, position: Position) -> Self {
        Self {
            detail: format!("it was recorded; {}", self.detail).into(),
            recorded: Some(Box::new(position)),
            ..self
        }
    }

    /// The request cannot be read.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// The request can be read, and breaks a rule.
    pub fn invalid(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// A field breaks its rule.
    pub fn invalid_field(error: &impl ToString) -> Self {
        Self::invalid("validation_failed", error.to_string())
    }

    /// There is no such message in the conversation that this field names.
    #[must_use]
    pub fn no_such_message(field: &str) -> Self {
        Self::invalid(
            "message_not_found",
            format!("{field}: there is no such message in the conversation"),
        )
    }

    /// A client id was used before, for something else.
    #[must_use]
    pub fn key_reused() -> Self {
        Self::invalid(
            "idempotency_key_reused",
            "the client id was used with another payload",
        )
    }

    /// The same, of this field of the request.
    #[must_use]
    pub fn of_field(self, field: &str) -> Self {
        Self {
            detail: format!("{field}: {}", self.detail).into(),
            ..self
        }
    }

    /// There is no valid token.
    pub fn unauthenticated(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// The token is a person's, and this is for backends.
    #[must_use]
    pub fn not_a_service() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "this needs a token with the scope service",
        )
    }

    /// Too much was asked for; in so many seconds there is room for more.
    #[must_use]
    pub fn rate_limited(wait: NonZeroU32) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "too much was asked for in too short a time; nothing was done",
            )
        }
    }

    /// There is no such conversation for this user.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "conversation_not_found",
            "the conversation does not exist",
        )
    }

    /// There is no such message for this user.
    #[must_use]
    pub fn message_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "message_not_found",
            "the message does not exist",
        )
    }

    /// The server sends no push.
    #[must_use]
    pub fn no_push() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "push_not_configured",
            "this server has no key for Web Push",
        )
    }

    /// There is no such file for this user, or not any more.
    #[must_use]
    pub fn attachment_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "attachment_not_found",
            "the attachment does not exist",
        )
    }

    /// Nobody may upload here.
    #[must_use]
    pub fn attachments_off() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "attachments_off",
            "this deployment takes no uploads: it was not told where to keep them",
        )
    }

    /// A part of a file was asked for that it does not have.
    #[must_use]
    pub fn range_not_satisfiable() -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "range_not_satisfiable",
            "the file does not have that range",
        )
    }

    /// There is no such path.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "path_not_found",
            "there is nothing at this path",
        )
    }

    /// The path does not take this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "the path does not take this method",
        )
    }

    /// The body is larger than it may be.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "the body is larger than it may be",
        )
    }

    /// The request did not come in time.
    #[must_use]
    pub fn request_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "the body did not come in time",
        )
    }

    /// The body is by its own account not what can be read.
    #[must_use]
    pub fn unsupported_media_type(detail: &'static str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            detail,
        )
    }

    /// Something is away or too busy, and may be back soon.
    pub fn unavailable(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// A fault of ours.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong on the server",
        )
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&Answered {
            error: &self,
            request_id: request::current_id(),
        });
        let body = body.unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        // What is left of the body is not read, so nothing can follow it.
        if matches!(
            self.status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE
        ) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.get()));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if let Some(position) = self.recorded {
            response = At(*position, response).into_response();
        }
        response
    }
}
