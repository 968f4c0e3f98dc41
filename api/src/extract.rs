//! Extractors that answer with problem documents.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use domain::{ClientId, ConversationId, MessageId, UserId};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let object = match axum::Json::<Map<String, Value>>::from_request(request, state).await {
            Ok(axum::Json(object)) => object,
            Err(JsonRejection::JsonSyntaxError(_)) => {
                return Err(ApiError::bad_request("malformed_json", "the body is not JSON"));
            }
            Err(JsonRejection::JsonDataError(_)) => {
                return Err(ApiError::invalid(
                    "validation_failed",
                    "the body must be a JSON object",
                ));
            }
            Err(JsonRejection::MissingJsonContentType(_)) => return Err(ApiError::unsupported_media_type()),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(ApiError::too_large());
            }
            Err(_) => {
                return Err(ApiError::bad_request(
                    "unreadable_body",
                    "the body could not be read",
                ));
            }
        };
        fields(Value::Object(object)).map(Self)
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
            "the data must be a JSON object",
        ));
    }
    serde_json::from_value(value).map_err(|error| ApiError::invalid_field(&error))
}

/// A query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                Err(ApiError::bad_request("invalid_query", error.body_text()))
            }
            Err(_) => Err(ApiError::bad_request(
                "invalid_query",
                "the query string could not be read",
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

/// Parses a conversation id.
///
/// # Errors
/// The same 404 as for a conversation that does not exist.
pub fn conversation_id(text: &str) -> Result<ConversationId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// Parses the id of a message that must be in a conversation.
///
/// # Errors
/// 422 when it is malformed or of another conversation.
pub fn message_in(text: &str, conversation: ConversationId) -> Result<MessageId, ApiError> {
    match text.parse::<MessageId>() {
        Ok(id) if id.conversation == conversation => Ok(id),
        _ => Err(ApiError::invalid(
            "message_not_found",
            "there is no such message in the conversation",
        )),
    }
}

/// The `Idempotency-Key` header.
///
/// # Errors
/// 422 when it is not a client id.
pub fn idempotency_key(headers: &axum::http::HeaderMap) -> Result<Option<ClientId>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| ApiError::invalid("validation_failed", "Idempotency-Key must be text"))?;
    ClientId::parse(text)
        .map(Some)
        .map_err(|error| ApiError::invalid_field(&error))
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
pub fn page_limit(limit: Option<u32>, default: u32) -> Result<u32, ApiError> {
    match limit.unwrap_or(default) {
        limit @ 1..=100 => Ok(limit),
        _ => Err(ApiError::invalid(
            "validation_failed",
            "limit must be from 1 to 100",
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
        assert_eq!(page_limit(Some(100), 20).unwrap(), 100);
        assert!(page_limit(Some(0), 20).is_err() && page_limit(Some(101), 20).is_err());
    }
}
