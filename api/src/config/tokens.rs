//! How tokens are checked.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::parse_duration;
use crate::auth::Rules;
use crate::auth::jwks::JwksSource;

/// By how much clocks may be said to differ: beyond that, one of them is to be mended.
const MOST_CLOCK_SKEW: Duration = Duration::from_secs(10 * 60);
/// How often a JWKS is read again at the least and at the most.
const JWKS_REFRESH: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(24 * 60 * 60)];

/// Which tokens are good.
#[derive(Args, Clone, Debug)]
pub struct Tokens {
    /// A public key that tokens are checked with (PEM): RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    /// May be repeated, or name several files with commas between them. Beside it, HS256 is taken only with
    /// a secret that is given.
    #[arg(
        long,
        env = "VERBATIM_JWT_PUBLIC_KEY",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub jwt_public_key: Vec<PathBuf>,
    /// The JWKS of whoever issues tokens: a file, or a URL with http or https. It is read again now and then,
    /// and when a token names a key that is not in it.
    #[arg(long, env = "VERBATIM_JWT_JWKS", value_name = "FILE|URL")]
    pub jwt_jwks: Option<JwksSource>,
    /// How often the JWKS is read again, 10s to 1d: a key that is withdrawn is good for so long.
    #[arg(
        long,
        env = "VERBATIM_JWT_JWKS_REFRESH",
        value_name = "TIME",
        default_value = "5m",
        value_parser = parse_refresh
    )]
    pub jwt_jwks_refresh: Duration,
    /// Who may have issued a token (`iss`). May be repeated, or hold several with commas between them.
    /// Without it, anyone who has the key.
    #[arg(
        long,
        env = "VERBATIM_JWT_ISSUER",
        value_name = "ISSUER",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub jwt_issuer: Vec<String>,
    /// For whom a token must be (`aud`). May be repeated, or hold several with commas between them. Without
    /// it, it does not matter.
    #[arg(
        long,
        env = "VERBATIM_JWT_AUDIENCE",
        value_name = "AUDIENCE",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub jwt_audience: Vec<String>,
    /// By how much clocks may differ, at most 10m.
    #[arg(
        long,
        env = "VERBATIM_JWT_CLOCK_SKEW",
        value_name = "TIME",
        default_value = "5s",
        value_parser = parse_skew
    )]
    pub jwt_clock_skew: Duration,
    /// The claim that names the tenant; then every token must have it. Without it, a token may have the
    /// claim `tenant`, and is of the tenant `default` if it has none.
    #[arg(
        long,
        env = "VERBATIM_JWT_TENANT_CLAIM",
        value_name = "CLAIM",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub jwt_tenant_claim: Option<String>,
}

impl Tokens {
    /// Whether there are keys beside a shared secret.
    #[must_use]
    pub const fn have_keys(&self) -> bool {
        !self.jwt_public_key.is_empty() || self.jwt_jwks.is_some()
    }

    /// What a token must say.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            issuers: self.jwt_issuer.clone(),
            audiences: self.jwt_audience.clone(),
            clock_skew: self.jwt_clock_skew,
            tenant_claim: self.jwt_tenant_claim.clone(),
        }
    }
}

fn parse_skew(text: &str) -> Result<Duration, String> {
    let skew = parse_duration(text)?;
    if skew > MOST_CLOCK_SKEW {
        return Err("it is more than 10m".to_owned());
    }
    Ok(skew)
}

fn parse_refresh(text: &str) -> Result<Duration, String> {
    let [least, most] = JWKS_REFRESH;
    let every = parse_duration(text)?;
    if !(least..=most).contains(&every) {
        return Err("it is not from 10s to 1d".to_owned());
    }
    Ok(every)
}
