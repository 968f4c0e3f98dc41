//! What a client calls a request, so that its repeat is recognised.

use axum::http::HeaderMap;
use domain::ClientId;

use crate::error::ApiError;

/// The `Idempotency-Key` header.
///
/// # Errors
/// 400 when it is not a client id, or there are several.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<ClientId>, ApiError> {
    let malformed = |reason: String| {
        let detail = format!("Idempotency-Key: {reason}");
        ApiError::bad_request("malformed_idempotency_key", detail)
    };
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed("it is given more than once".to_owned()));
    }
    let text = value
        .to_str()
        .map_err(|_| malformed("it is not plain text".to_owned()))?;
    ClientId::parse(text)
        .map(Some)
        .map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_one_plain_text() {
        let key = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(
                    "idempotency-key",
                    axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                );
            }
            idempotency_key(&headers)
        };
        assert!(key(&[]).unwrap().is_none());
        assert_eq!(
            key(&["8e03978e-40d5"]).unwrap().unwrap().as_str(),
            "8e03978e-40d5"
        );
        for bad in [&["a", "b"][..], &[""], &["é"], &[&"x".repeat(1_000)]] {
            let error = key(bad).unwrap_err();
            assert_eq!(
                (error.status().as_u16(), error.code()),
                (400, "malformed_idempotency_key")
            );
        }
    }
}
