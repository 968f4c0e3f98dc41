//! Extractors that answer with problem documents.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use domain::{AttachmentId, ConversationId, MessageId, UserId};
use futures::StreamExt;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::json;
use crate::server::Stopping;

mod idempotency;
mod instant;

pub use idempotency::idempotency_key;
pub use instant::instant;

/// The most bytes of a body: a message of 10,000 characters, escaped to the utmost, fits.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// The most bytes of one that names the members of a large group.
const MAX_LARGE_BODY_BYTES: usize = 2 * 1024 * 1024;
/// How long the next piece of a body may take.
const PIECE_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take once the server is to stop.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long a whole body may take.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        read_json(request, MAX_BODY_BYTES).await.map(Self)
    }
}

/// A JSON body that may name ten thousand users.
pub struct LargeJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for LargeJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        read_json(request, MAX_LARGE_BODY_BYTES).await.map(Self)
    }
}

async fn read_json<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, ApiError> {
    check_media_type(request.headers())?;
    let stopping = request
        .extensions()
        .get::<Stopping>()
        .cloned()
        .unwrap_or_default();
    let body = read_body(request.into_body(), most, PIECE_PATIENCE, stopping.0);
    let body = timeout(BODY_PATIENCE, body).await;
    let body = body.unwrap_or_else(|_| Err(ApiError::request_timeout()))?;
    let value =
        json::parse(&body).map_err(|fault| ApiError::bad_request("malformed_json", fault.to_string()))?;
    fields(value)
}

/// A JSON body that may be missing: then it is as if nothing were in it.
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_missing = request.body().size_hint().exact() == Some(0);
        if is_missing && !request.headers().contains_key(header::TRANSFER_ENCODING) {
            return Ok(Self(T::default()));
        }
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// A body that is not JSON, or packed, is not looked into.
fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase());
    let is_json = media_type.is_some_and(|media_type| {
        media_type == "application/json"
            || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    });
    if !is_json {
        return Err(ApiError::unsupported_media_type(
            "the body must have the content type application/json",
        ));
    }
    let plain = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !plain {
        return Err(ApiError::unsupported_media_type(
            "the body must not have a content encoding",
        ));
    }
    Ok(())
}

/// Reads a body to its end. One that announces too much is not begun with, so that whoever asked whether
/// to send it need not.
async fn read_body(
    body: Body,
    most: usize,
    patience: Duration,
    stopping: CancellationToken,
) -> Result<Vec<u8>, ApiError> {
    if body.size_hint().lower() > most as u64 {
        return Err(ApiError::too_large());
    }
    let mut pieces = body.into_data_stream();
    let mut bytes = Vec::new();
    loop {
        let last_call = async {
            stopping.cancelled().await;
            sleep(LAST_PATIENCE).await;
        };
        let piece = tokio::select! {
            biased;
            piece = pieces.next() => piece,
            () = sleep(patience) => return Err(ApiError::request_timeout()),
            () = last_call => return Err(ApiError::request_timeout()),
        };
        match piece {
            None => return Ok(bytes),
            Some(Ok(piece)) if bytes.len() + piece.len() > most => {
                return Err(ApiError::too_large());
            }
            Some(Ok(piece)) => bytes.extend_from_slice(&piece),
            Some(Err(_)) => {
                return Err(ApiError::bad_request(
                    "unreadable_body",
                    "the body could not be read",
                ));
            }
        }
    }
}

/// Reads the fields of an object. A list of them in some order is none, though serde would take it.
///
/// # Errors
/// 422 when they do not have the shape they should have.
pub fn fields<T: DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    if !value.is_object() {
        return Err(ApiError::invalid(
            "validation_failed",
            "what is asked for must be a JSON object",
        ));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let wrong = ApiError::invalid_field(error.inner());
        // What is missing is named by the error itself, and has no path.
        if error.path().iter().next().is_some() {
            wrong.of_field(&error.path().to_string())
        } else {
            wrong
        }
    })
}

/// A query string. Its parameters are texts that may be missing, so that what is wrong with one can be told
/// by its name.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(_) => Err(ApiError::bad_request(
                "invalid_query",
                "the query string cannot be read: each parameter is given once at most",
            )),
        }
    }
}

/// A conversation id in a path. One that cannot exist is answered like one that does not.
pub struct ConversationPath(pub ConversationId);

impl<S: Send + Sync> FromRequestParts<S> for ConversationPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let axum::extract::Path(id) = path.map_err(|_| ApiError::not_found())?;
        conversation_id(&id).map(Self)
    }
}

/// A message id in a path. One that cannot exist is answered like one that does not.
pub struct MessagePath(pub MessageId);

impl<S: Send + Sync> FromRequestParts<S> for MessagePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let axum::extract::Path(id) = path.map_err(|_| ApiError::message_not_found())?;
        id.parse().map(Self).map_err(|_| ApiError::message_not_found())
    }
}

/// A conversation and one of its members in a path.
pub struct MemberPath(pub ConversationId, pub UserId);

impl<S: Send + Sync> FromRequestParts<S> for MemberPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<(String, String)>::from_request_parts(parts, state).await;
        let axum::extract::Path((id, member)) = path.map_err(|_| ApiError::not_found())?;
        let member = UserId::parse(member).map_err(|error| ApiError::invalid_field(&error))?;
        Ok(Self(conversation_id(&id)?, member))
    }
}

/// A file in a path. One that cannot exist is answered like one that does not.
pub struct AttachmentPath(pub AttachmentId);

impl<S: Send + Sync> FromRequestParts<S> for AttachmentPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|path| path.0.parse().ok());
        id.map(Self).ok_or_else(ApiError::attachment_not_found)
    }
}

/// A user in a path.
pub struct UserPath(pub UserId);

impl<S: Send + Sync> FromRequestParts<S> for UserPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let axum::extract::Path(user) = path.map_err(|_| ApiError::not_found())?;
        let user = UserId::parse(user).map_err(|error| ApiError::invalid_field(&error))?;
        Ok(Self(user))
    }
}

/// A field that is there, though it may be `null`.
///
/// # Errors
/// When it is something else.
pub fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A flag in a query: `true` or `false`.
///
/// # Errors
/// 422 when it is neither.
pub fn flag(field: &str, text: Option<&str>) -> Result<Option<bool>, ApiError> {
    match text {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(ApiError::invalid(
            "validation_failed",
            format!("{field} must be true or false"),
        )),
    }
}

/// Parses a conversation id.
///
/// # Errors
/// The same 404 as for a conversation that does not exist.
pub fn conversation_id(text: &str) -> Result<ConversationId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// Parses the id of a message that must be in a conversation, out of this field.
///
/// # Errors
/// 422 when it is malformed or of another conversation.
pub fn message_in(field: &str, text: &str, conversation: ConversationId) -> Result<MessageId, ApiError> {
    match text.parse::<MessageId>() {
        Ok(id) if id.conversation == conversation => Ok(id),
        _ => Err(ApiError::no_such_message(field)),
    }
}

/// A user id as clients write it: a string, or a whole number as in the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIdIn(pub UserId);

impl<'de> Deserialize<'de> for UserIdIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;

        impl Visitor<'_> for TextOrNumber {
            type Value = String;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a user id: a string or a whole number")
            }

            fn visit_str<E>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }

            fn visit_u64<E>(self, number: u64) -> Result<String, E> {
                Ok(number.to_string())
            }

            fn visit_i64<E>(self, number: i64) -> Result<String, E> {
                Ok(number.to_string())
            }
        }

        let text = deserializer.deserialize_any(TextOrNumber)?;
        UserId::parse(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// The limit of a page.
///
/// # Errors
/// 422 when it is not from 1 to 100.
pub fn page_limit(limit: Option<&str>, default: u32) -> Result<u32, ApiError> {
    match limit.map_or(Ok(default), str::parse) {
        Ok(limit @ 1..=100) => Ok(limit),
        _ => Err(ApiError::invalid(
            "validation_failed",
            "limit must be a whole number from 1 to 100",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_are_strings_or_whole_numbers() {
        let parse = |json: &str| {
            serde_json::from_str::<UserIdIn>(json)
                .ok()
                .map(|id| id.0.to_string())
        };
        assert_eq!(parse("\"ann\"").as_deref(), Some("ann"));
        assert_eq!(parse("42").as_deref(), Some("42"));
        assert_eq!(parse("-1").as_deref(), Some("-1"));
        for bad in ["1.5", "null", "\"\"", "[1]", "true"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(page_limit(None, 20).unwrap(), 20);
        assert_eq!(page_limit(Some("100"), 20).unwrap(), 100);
        for bad in ["0", "101", "-1", "abc", "", "1.5", "99999999999999999999"] {
            let error = page_limit(Some(bad), 20).unwrap_err();
            assert_eq!(
                detail(&error),
                "limit must be a whole number from 1 to 100",
                "{bad}"
            );
        }
    }

    fn detail(error: &ApiError) -> String {
        serde_json::to_value(error).unwrap()["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(dead_code, reason = "only what is wrong with it is looked at")]
        struct Body {
            name: String,
            member_ids: Vec<UserIdIn>,
        }
        let told = |value| detail(&fields::<Body>(value).unwrap_err());
        assert_eq!(
            told(serde_json::json!({"name": 5, "memberIds": []})),
            "name: invalid type: integer `5`, expected a string"
        );
        assert_eq!(
            told(serde_json::json!({"name": "x", "memberIds": ["bob", ""]})),
            "memberIds[1]: a user id must not be empty"
        );
        assert_eq!(told(serde_json::json!({"memberIds": []})), "missing field `name`");
    }

    #[test]
    fn only_plain_json_is_read() {
        let check = |headers: &[(&'static str, &'static str)]| {
            let pairs = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            check_media_type(&HeaderMap::from_iter(pairs)).is_ok()
        };
        assert!(check(&[("content-type", "application/json")]));
        assert!(check(&[("content-type", "Application/JSON; charset=utf-8")]));
        assert!(check(&[("content-type", "application/problem+json")]));
        assert!(check(&[
            ("content-type", "application/json"),
            ("content-encoding", "identity")
        ]));
        assert!(!check(&[]));
        assert!(!check(&[("content-type", "text/json")]));
        for coding in ["gzip", "identity, gzip", ""] {
            assert!(!check(&[
                ("content-type", "application/json"),
                ("content-encoding", coding)
            ]));
        }
    }

    #[tokio::test]
    async fn a_body_that_stays_away_or_grows_too_large_is_given_up() {
        let short = Duration::from_millis(20);
        let read = |body| read_body(body, MAX_BODY_BYTES, short, CancellationToken::new());
        let pieces = |count: usize| {
            let piece = || Ok::<_, std::io::Error>(vec![b'x'; MAX_BODY_BYTES / 4]);
            futures::stream::iter((0..count).map(move |_| piece()))
        };
        let whole = read(Body::from_stream(pieces(4))).await.unwrap();
        assert_eq!(whole.len(), MAX_BODY_BYTES);
        let error = read(Body::from_stream(pieces(5))).await.unwrap_err();
        assert_eq!(error.status(), 413);
        let silent = pieces(1).chain(futures::stream::pending());
        let error = read(Body::from_stream(silent)).await.unwrap_err();
        assert_eq!(error.status(), 408);
    }
}
