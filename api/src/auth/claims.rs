//! What a token says, once its signature is known to be good.

use domain::user::Profile;
use domain::values::{Avatar, DisplayName};
use domain::{TenantId, UserId};
use serde_json::{Map, Value};

use super::{Identity, Rules};
use crate::error::ApiError;
use crate::extract::UserIdIn;

const DEFAULT_TENANT: &str = "default";
const TENANT_CLAIM: &str = "tenant";
/// The scope of a backend, as opposed to a person.
const SERVICE: &str = "service";

/// Who asks, by these claims.
///
/// # Errors
/// 401 when they do not name a user and a tenant, or the scope is none.
pub(super) fn identity(mut claims: Map<String, Value>, rules: &Rules) -> Result<Identity, ApiError> {
    let expires_at = claims.get("exp").and_then(seconds).ok_or_else(unnamed)?;
    Ok(Identity {
        tenant: tenant(&claims, rules.tenant_claim.as_deref())?,
        user: user(&mut claims)?,
        is_service: is_service(claims.get("scope"))?,
        profile: profile(&claims),
        expires_at: expires_at.saturating_add(rules.clock_skew.as_secs()),
    })
}

fn unnamed() -> ApiError {
    ApiError::unauthenticated("token_invalid", "the token does not name a user and a tenant")
}

/// The user, by `userId` or else `sub`: a text, or a whole number in the one way to write it.
fn user(claims: &mut Map<String, Value>) -> Result<UserId, ApiError> {
    let given = |value: &Value| !value.is_null();
    let id = claims
        .remove("userId")
        .filter(given)
        .or_else(|| claims.remove("sub"));
    let id = id.and_then(|id| serde_json::from_value::<UserIdIn>(id).ok());
    id.map(|id| id.0).ok_or_else(unnamed)
}

/// The tenant. A claim that the configuration names must be there: without it, the users of all tenants
/// whose tokens lack it would be thrown together.
fn tenant(claims: &Map<String, Value>, claim: Option<&str>) -> Result<TenantId, ApiError> {
    let named = claims.get(claim.unwrap_or(TENANT_CLAIM));
    let text = match named {
        None | Some(Value::Null) if claim.is_none() => DEFAULT_TENANT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_u64() => number.to_string(),
        _ => return Err(unnamed()),
    };
    TenantId::parse(text).map_err(|_| unnamed())
}

/// Whether the scope, a text with spaces (RFC 8693) or a list, has `service` in it.
fn is_service(scope: Option<&Value>) -> Result<bool, ApiError> {
    match scope {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(text)) => Ok(text.split(' ').any(|scope| scope == SERVICE)),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            Ok(list.iter().any(|scope| scope == SERVICE))
        }
        Some(_) => Err(ApiError::unauthenticated(
            "token_invalid",
            "the scope of the token is neither a text nor a list of texts",
        )),
    }
}

/// What the token says the user is called; a name or picture that breaks its rule is as good as none.
fn profile(claims: &Map<String, Value>) -> Option<Profile> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    Some(Profile {
        name: DisplayName::parse(text("name")?).ok()?,
        avatar: text("avatar").and_then(|avatar| Avatar::parse(avatar).ok()),
    })
}

/// Seconds after the Unix epoch, rounded as the check of the expiry rounds them.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest number there is"
)]
fn seconds(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_f64().map(|seconds| seconds.round() as u64))
}
