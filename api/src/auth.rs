//! Who asks: tokens are checked here, and nowhere else.
//!
//! A token is a JWT that is signed with HS256, RS256, ES256 or EdDSA. Which of them is pinned by the key
//! that it is checked with, so that no token chooses its own. It names its user (`sub`, or `userId` as in
//! the reference) and tenant, and may say what the user is called and what else it allows.
//!
//! In reading order: `keys`, `jwks`, `claims`, then `signer`, for the tokens that are made here.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, header, request::Parts};
use domain::user::Profile;
use domain::{TenantId, UserId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use self::keys::{KeySet, VerifyingKey};
use crate::app::App;
use crate::error::ApiError;
use crate::request;

mod claims;
pub mod jwks;
pub mod keys;
mod signer;

pub use jwks::Jwks;
pub use signer::{Grant, MIN_SECRET_BYTES, SignError, Signer};

/// The algorithms that keys can be of.
pub(crate) const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::HS256,
    Algorithm::RS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

/// Who asks, as the token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// What the user is called, when the token says so.
    pub profile: Option<Profile>,
    /// Whether the token has the scope `service`: it is a backend's, which may do what people may not.
    pub is_service: bool,
    /// When the token ends, in seconds after the Unix epoch.
    pub expires_at: u64,
}

/// What a token must say beside having a good signature.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who may have issued it; nobody in particular when empty.
    pub issuers: Vec<String>,
    /// For whom it may be; when empty, it does not matter.
    pub audiences: Vec<String>,
    /// By how much clocks may differ.
    pub clock_skew: Duration,
    /// The claim that names the tenant, which every token must have then. Without one, a token may have
    /// the claim `tenant`.
    pub tenant_claim: Option<String>,
}

/// Checks tokens.
pub struct Authenticator {
    fixed: KeySet,
    jwks: Option<Arc<Jwks>>,
    rules: Rules,
    validations: Vec<Validation>,
}

/// What came of looking for the key of a token.
enum Verdict {
    /// The key is known.
    Known(Result<Map<String, Value>, ApiError>),
    /// No key that is known made this signature.
    Unknown,
}

impl Authenticator {
    /// Tokens under these keys, and those of a JWKS.
    #[must_use]
    pub fn new(fixed: KeySet, jwks: Option<Arc<Jwks>>, rules: Rules) -> Self {
        let validations = ALGORITHMS.map(|algorithm| validation(algorithm, &rules));
        Self {
            fixed,
            jwks,
            validations: validations.into(),
            rules,
        }
    }

    /// Checks a token. One that names a key which is not known yet waits until the JWKS was asked for it.
    ///
    /// # Errors
    /// 401 when it is forged, expired, for somebody else, or does not name a user.
    pub async fn check(&self, token: &str) -> Result<Identity, ApiError> {
        let header = decode_header(token).map_err(|error| rejected(error.kind()))?;
        // What a critical extension means is not known here (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(invalid());
        }
        let mut verdict = self.verify(token, &header);
        if matches!(verdict, Verdict::Unknown)
            && let Some((jwks, id)) = self.jwks.as_ref().zip(header.kid.as_deref())
            && header.alg != Algorithm::HS256
            && !jwks.keys().have(id)
        {
            jwks.look_for_unknown().await;
            verdict = self.verify(token, &header);
        }
        match verdict {
            Verdict::Known(claims) => claims::identity(claims?, &self.rules),
            Verdict::Unknown => Err(invalid()),
        }
    }

    fn verify(&self, token: &str, header: &Header) -> Verdict {
        let published = self.jwks.as_ref().map(|jwks| jwks.keys());
        let published = published.as_ref().map(|keys| &***keys);
        let sets = [Some(&self.fixed), published];
        let candidates = sets.into_iter().flatten().flat_map(|set| set.candidates(header));
        for key in candidates {
            match self.verify_with(key, token) {
                Err(kind) if matches!(*kind, ErrorKind::InvalidSignature) => {}
                Err(kind) => return Verdict::Known(Err(rejected(&kind))),
                Ok(claims) => return Verdict::Known(Ok(claims)),
            }
        }
        Verdict::Unknown
    }

    fn verify_with(&self, key: &VerifyingKey, token: &str) -> Result<Map<String, Value>, Box<ErrorKind>> {
        let pinned = |validation: &&Validation| validation.algorithms == [key.algorithm()];
        let validation = self.validations.iter().find(pinned);
        let validation = validation.ok_or(ErrorKind::InvalidAlgorithm)?;
        match decode(token, key.decoding(), validation) {
            Ok(decoded) => Ok(decoded.claims),
            Err(error) => Err(Box::new(error.into_kind())),
        }
    }

    /// Checks the token in the `Authorization` header.
    ///
    /// # Errors
    /// 401 when there is none or it is not valid.
    pub async fn check_headers(&self, headers: &HeaderMap) -> Result<Identity, ApiError> {
        let missing =
            || ApiError::unauthenticated(ApiError::TOKEN_MISSING, "the request needs a bearer token");
        let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|v| v.split_once(' '))
            .ok_or_else(missing)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            self.check(token.trim()).await
        } else {
            Err(missing())
        }
    }
}

fn validation(algorithm: Algorithm, rules: &Rules) -> Validation {
    let mut validation = Validation::new(algorithm);
    let mut required = vec!["exp"];
    validation.leeway = rules.clock_skew.as_secs();
    validation.validate_nbf = true;
    validation.validate_aud = !rules.audiences.is_empty();
    if !rules.audiences.is_empty() {
        validation.set_audience(&rules.audiences);
        required.push("aud");
    }
    if !rules.issuers.is_empty() {
        validation.set_issuer(&rules.issuers);
        required.push("iss");
    }
    validation.set_required_spec_claims(&required);
    validation
}

fn invalid() -> ApiError {
    ApiError::unauthenticated("token_invalid", "the token is not valid")
}

fn rejected(kind: &ErrorKind) -> ApiError {
    match kind {
        ErrorKind::ExpiredSignature => ApiError::unauthenticated("token_expired", "the token has expired"),
        _ => invalid(),
    }
}

impl FromRequestParts<Arc<App>> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let checked = app.authenticator.check_headers(&parts.headers).await;
        let checked = match checked {
            Ok(identity) => app.standing.admit(identity).await,
            Err(error) => Err(error),
        };
        let identity = checked.map_err(|error| app.limits.failure(app.limits.address(parts), error))?;
        let (standing, admitted) = app.limits.request(&identity, &parts.method);
        if let Some(standing) = standing {
            request::note(standing);
        }
        admitted?;
        app.meet(&identity);
        Ok(identity)
    }
}

#[cfg(test)]
mod tests;
