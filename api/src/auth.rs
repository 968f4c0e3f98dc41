//! Who asks: tokens are checked here, and nowhere else.
//!
//! Tokens are HS256 JWTs; the algorithm is pinned, so that no token chooses its own. A token names its
//! user (`sub`, or `userId` as in the reference) and tenant, and may say what the user is called.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, header, request::Parts};
use domain::user::Profile;
use domain::values::{Avatar, DisplayName};
use domain::{TenantId, UserId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::error::ApiError;
use crate::extract::UserIdIn;

/// The fewest bytes of a secret: as many as the signature has.
pub const MIN_SECRET_BYTES: usize = 32;
/// Seconds by which clocks may differ.
const CLOCK_SKEW: u64 = 5;
const DEFAULT_TENANT: &str = "default";

/// Who asks, as the token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// What the user is called, when the token says so.
    pub profile: Option<Profile>,
    /// When the token ends, in seconds after the Unix epoch.
    pub expires_at: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    sub: Option<UserIdIn>,
    user_id: Option<UserIdIn>,
    tenant: Option<String>,
    name: Option<String>,
    avatar: Option<String>,
    exp: u64,
}

#[derive(Serialize)]
struct NewClaims<'a> {
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

/// Why no token can be signed or checked.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The secret is too short to be one.
    #[error("the secret that signs tokens must have at least {MIN_SECRET_BYTES} bytes")]
    ShortSecret,
    /// The token could not be signed.
    #[error("the token could not be signed")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Signs and checks tokens with one secret.
#[derive(Clone)]
pub struct Authenticator {
    signs: EncodingKey,
    checks: DecodingKey,
    validation: Validation,
    cursor_key: [u8; 32],
}

impl Authenticator {
    /// Tokens under this secret.
    ///
    /// # Errors
    /// [`AuthError::ShortSecret`] when it has fewer than [`MIN_SECRET_BYTES`] bytes.
    pub fn new(secret: &str) -> Result<Self, AuthError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(AuthError::ShortSecret);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = CLOCK_SKEW;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        Ok(Self {
            signs: EncodingKey::from_secret(secret.as_bytes()),
            checks: DecodingKey::from_secret(secret.as_bytes()),
            validation,
            cursor_key: Sha256::new()
                .chain_update(b"verbatim cursor\0")
                .chain_update(secret.as_bytes())
                .finalize()
                .into(),
        })
    }

    /// The key that cursors are sealed with: derived from the secret, so that all nodes have the same.
    #[must_use]
    pub const fn cursor_key(&self) -> [u8; 32] {
        self.cursor_key
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`AuthError::Sign`] when it cannot be signed.
    pub fn issue(&self, grant: &Grant<'_>) -> Result<String, AuthError> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = NewClaims {
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
            &self.signs,
        )?)
    }

    /// Checks a token.
    ///
    /// # Errors
    /// 401 when it is forged, expired, or does not name a user.
    pub fn check(&self, token: &str) -> Result<Identity, ApiError> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.checks, &self.validation);
        let claims = decoded.map_err(|error| rejected(error.kind()))?.claims;
        let malformed =
            || ApiError::unauthenticated("token_invalid", "the token does not name a user and a tenant");
        let tenant = TenantId::parse(claims.tenant.as_deref().unwrap_or(DEFAULT_TENANT));
        Ok(Identity {
            tenant: tenant.map_err(|_| malformed())?,
            user: claims.user_id.or(claims.sub).ok_or_else(malformed)?.0,
            profile: profile(claims.name, claims.avatar),
            expires_at: claims.exp.saturating_add(CLOCK_SKEW),
        })
    }

    /// Checks the token in the `Authorization` header.
    ///
    /// # Errors
    /// 401 when there is none or it is not valid.
    pub fn check_headers(&self, headers: &HeaderMap) -> Result<Identity, ApiError> {
        let missing = || ApiError::unauthenticated("token_missing", "the request needs a bearer token");
        let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|v| v.split_once(' '))
            .ok_or_else(missing)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            self.check(token.trim())
        } else {
            Err(missing())
        }
    }
}

fn rejected(kind: &ErrorKind) -> ApiError {
    match kind {
        ErrorKind::ExpiredSignature => ApiError::unauthenticated("token_expired", "the token has expired"),
        _ => ApiError::unauthenticated("token_invalid", "the token is not valid"),
    }
}

/// What the token says the user is called; a name or picture that breaks its rule is as good as none.
fn profile(name: Option<String>, avatar: Option<String>) -> Option<Profile> {
    let name = DisplayName::parse(name?).ok()?;
    Some(Profile {
        name,
        avatar: avatar.and_then(|avatar| Avatar::parse(avatar).ok()),
    })
}

impl FromRequestParts<Arc<App>> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let identity = app.authenticator.check_headers(&parts.headers)?;
        app.meet(&identity);
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::user;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "a secret of at least thirty-two bytes";

    fn sign(claims: &Value, secret: &str, algorithm: Algorithm) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    fn code(token: &str) -> String {
        let error = Authenticator::new(SECRET).unwrap().check(token).unwrap_err();
        assert_eq!(error.status(), 401);
        serde_json::to_value(&error).unwrap()["code"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_token_says_who_asks() {
        let authenticator = Authenticator::new(SECRET).unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let grant = Grant {
            tenant: &tenant,
            user: &user("ann"),
            name: Some("Ann"),
            scope: &[],
            ttl: Duration::from_secs(60),
        };
        let identity = authenticator
            .check(&authenticator.issue(&grant).unwrap())
            .unwrap();
        assert_eq!((&identity.tenant, identity.user.as_str()), (&tenant, "ann"));
        assert_eq!(identity.profile.unwrap().name.as_str(), "Ann");
    }

    #[test]
    fn users_are_numbers_too_as_in_the_reference() {
        let exp = jsonwebtoken::get_current_timestamp() + 60;
        let token = sign(&json!({"userId": 42, "exp": exp}), SECRET, Algorithm::HS256);
        let identity = Authenticator::new(SECRET).unwrap().check(&token).unwrap();
        assert_eq!(
            (identity.user.as_str(), identity.tenant.as_str()),
            ("42", "default")
        );
    }

    #[test]
    fn forged_expired_and_nameless_tokens_are_refused() {
        let now = jsonwebtoken::get_current_timestamp();
        let good = json!({"sub": "ann", "exp": now + 60});
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.";
        assert_eq!(code(none), "token_invalid");
        assert_eq!(code("x"), "token_invalid");
        assert_eq!(
            code(&sign(&good, &SECRET.to_uppercase(), Algorithm::HS256)),
            "token_invalid"
        );
        assert_eq!(code(&sign(&good, SECRET, Algorithm::HS512)), "token_invalid");
        assert_eq!(
            code(&sign(
                &json!({"sub": "ann", "exp": now - 60}),
                SECRET,
                Algorithm::HS256
            )),
            "token_expired"
        );
        for nameless in [
            json!({"exp": now + 60}),
            json!({"sub": "", "exp": now + 60}),
            json!({"sub": "a"}),
        ] {
            assert_eq!(code(&sign(&nameless, SECRET, Algorithm::HS256)), "token_invalid");
        }
    }

    #[test]
    fn a_short_secret_is_none() {
        assert!(matches!(Authenticator::new("short"), Err(AuthError::ShortSecret)));
    }
}
