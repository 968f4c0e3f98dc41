//! Tokens that are made here, with the shared secret: for `verbatim token` and for trying it out.

use std::time::Duration;

use domain::{TenantId, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// The fewest bytes of a secret: as many as the signature has.
pub const MIN_SECRET_BYTES: usize = 32;

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    tenant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    iat: u64,
    exp: u64,
}

/// What a new token says.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The user.
    pub user: &'a UserId,
    /// What the user is called.
    pub name: Option<&'a str>,
    /// What it allows beside being the user.
    pub scope: &'a [String],
    /// How long it is valid.
    pub ttl: Duration,
}

/// Why no token can be signed or checked with a secret.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The secret is too short to be one.
    #[error("the secret that signs tokens must have at least {MIN_SECRET_BYTES} bytes")]
    ShortSecret,
    /// The token could not be signed.
    #[error("the token could not be signed")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Signs tokens.
pub struct Signer(EncodingKey);

impl Signer {
    /// Tokens under this secret.
    ///
    /// # Errors
    /// [`SignError::ShortSecret`] when it has fewer than [`MIN_SECRET_BYTES`] bytes.
    pub fn new(secret: &str) -> Result<Self, SignError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(SignError::ShortSecret);
        }
        Ok(Self(EncodingKey::from_secret(secret.as_bytes())))
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`SignError::Sign`] when it cannot be signed.
    pub fn issue(&self, grant: &Grant<'_>) -> Result<String, SignError> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            sub: grant.user.as_str(),
            tenant: grant.tenant.as_str(),
            name: grant.name,
            scope: if grant.scope.is_empty() {
                None
            } else {
                Some(grant.scope.join(" "))
            },
            iat: now,
            exp: now.saturating_add(grant.ttl.as_secs()),
        };
        Ok(jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &self.0,
        )?)
    }
}
