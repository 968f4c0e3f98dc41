//! Tokens: honest ones, signed with the server's secret as an identity provider would, and forged ones.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// The tenant that a token names when nothing else was said.
pub const DEFAULT_TENANT: &str = "default";

/// The claims of a token for this user of the default tenant, valid for an hour.
#[must_use]
pub fn claims(user: &str) -> Value {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    json!({"sub": user, "tenant": DEFAULT_TENANT, "iat": now, "exp": now + 3600})
}

/// The claims with one of them changed, or removed by `null`.
///
/// # Panics
/// If the claims are not an object.
#[must_use]
pub fn with(mut claims: Value, name: &str, value: Value) -> Value {
    let map = claims.as_object_mut().unwrap();
    map.remove(name);
    if !value.is_null() {
        map.insert(name.to_owned(), value);
    }
    claims
}

/// A token with these claims, signed with HS256.
#[must_use]
pub fn sign(claims: &Value, secret: &str) -> String {
    sign_as(Algorithm::HS256, claims, secret)
}

/// A token with these claims, signed with another algorithm of the HMAC family.
///
/// # Panics
/// If the algorithm is of another family.
#[must_use]
pub fn sign_as(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .unwrap()
}

/// A token that says of itself that it is not signed.
#[must_use]
pub fn unsigned(claims: &Value) -> String {
    format!(
        "{}.{}.",
        encoded(&json!({"alg": "none", "typ": "JWT"})),
        encoded(claims)
    )
}

/// The token with other claims under the signature it had.
///
/// # Panics
/// If it is not a token.
#[must_use]
pub fn tampered(token: &str, claims: &Value) -> String {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "not a token");
    format!("{}.{}.{}", parts[0], encoded(claims), parts[2])
}

/// The claims that a token carries, whoever signed it.
///
/// # Panics
/// If it is not a token.
#[must_use]
pub fn decoded(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}
