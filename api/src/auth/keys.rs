//! The keys that tokens are checked with, each of one algorithm.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;

use super::signer::{MIN_SECRET_BYTES, SignError};

/// The most keys that a JWKS is taken with: a token without a `kid` may be tried with each of them.
const MOST_KEYS: usize = 64;
/// An uncompressed point of P-256; those of other curves have other lengths.
const P256_POINT_BYTES: usize = 65;
const P256_COORDINATE_BYTES: usize = 32;
const ED25519_BYTES: usize = 32;
/// The fewest bytes of an RSA modulus: 2048 bits.
const MIN_MODULUS_BYTES: usize = 256;

/// Why something holds no key that tokens can be checked with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A public key was expected.
    #[error(
        "it is not one public key (PEM: \"PUBLIC KEY\" or \"RSA PUBLIC KEY\") of RSA, of P-256 or of Ed25519"
    )]
    NotPublicKey,
    /// Whoever has a private key signs tokens; who checks them needs, and should have, the public one alone.
    #[error("it holds a private key: give the public one alone")]
    PrivateKey,
    /// A JWKS was expected.
    #[error("it is not a JWKS: {{\"keys\": […]}} with at most {MOST_KEYS} keys")]
    NotJwks,
    /// No key in the JWKS can be used.
    #[error("the JWKS holds no key for RS256, ES256 or EdDSA")]
    NoKey,
}

/// A key, with the one algorithm that it is for.
pub struct VerifyingKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) const fn decoding(&self) -> &DecodingKey {
        &self.key
    }

    /// A secret that is shared with who signs, for HS256.
    ///
    /// # Errors
    /// [`SignError::ShortSecret`] when it is too short to be one.
    pub fn of_secret(secret: &str) -> Result<Self, SignError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(SignError::ShortSecret);
        }
        Ok(Self {
            id: None,
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret.as_bytes()),
        })
    }

    /// A public key: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    ///
    /// # Errors
    /// [`KeyError`] when it is none of these.
    pub fn of_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(pem).map_err(|_| KeyError::NotPublicKey)?;
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError::PrivateKey);
        }
        let is_public = |line: &&str| {
            matches!(
                *line,
                "-----BEGIN PUBLIC KEY-----" | "-----BEGIN RSA PUBLIC KEY-----"
            )
        };
        let begun: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("-----BEGIN"))
            .collect();
        if begun.len() != 1 || !begun.iter().all(is_public) {
            return Err(KeyError::NotPublicKey);
        }
        // Each reads keys of its own family alone.
        let rsa = || DecodingKey::from_rsa_pem(pem).ok();
        let ec = || {
            DecodingKey::from_ec_pem(pem)
                .ok()
                .filter(|key| has_length(key, P256_POINT_BYTES))
        };
        let ed = || {
            DecodingKey::from_ed_pem(pem)
                .ok()
                .filter(|key| has_length(key, ED25519_BYTES))
        };
        let found = rsa()
            .map(|key| (Algorithm::RS256, key))
            .or_else(|| ec().map(|key| (Algorithm::ES256, key)))
            .or_else(|| ed().map(|key| (Algorithm::EdDSA, key)));
        let (algorithm, key) = found.ok_or(KeyError::NotPublicKey)?;
        Ok(Self {
            id: None,
            algorithm,
            key,
        })
    }

    /// A key of a JWKS, if tokens can be checked with it. `kty`, `crv` and, if it is there, `alg` say
    /// together which algorithm it is for. A symmetric key is none: what is published is no secret.
    fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let signs = common
            .public_key_use
            .as_ref()
            .is_none_or(|it| *it == PublicKeyUse::Signature);
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        let is_for_it = common.key_algorithm.is_none_or(|algorithm| algorithm == named);
        if !(signs && verifies && is_for_it && has_size(jwk)) {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithm,
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    }
}

fn has_length(key: &DecodingKey, length: usize) -> bool {
    key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == length)
}

/// Whether the numbers of a key have the size that its algorithm wants.
fn has_size(jwk: &Jwk) -> bool {
    use base64::Engine;
    let length = |text: &str| {
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text)
            .map_or(0, |it| it.len())
    };
    match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => length(&key.n) >= MIN_MODULUS_BYTES,
        AlgorithmParameters::EllipticCurve(key) => [&key.x, &key.y]
            .iter()
            .all(|it| length(it) == P256_COORDINATE_BYTES),
        AlgorithmParameters::OctetKeyPair(key) => length(&key.x) == ED25519_BYTES,
        _ => false,
    }
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// Keys, of which a token names one or none.
#[derive(Default)]
pub struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// These keys.
    #[must_use]
    pub const fn new(keys: Vec<VerifyingKey>) -> Self {
        Self(keys)
    }

    /// The keys of a JWKS (RFC 7517) that can be used. The others are left out, as the RFC asks for.
    ///
    /// # Errors
    /// [`KeyError::NotJwks`] when it is none.
    pub fn of_jwks(bytes: &[u8]) -> Result<Self, KeyError> {
        let published: Published = serde_json::from_slice(bytes).map_err(|_| KeyError::NotJwks)?;
        if published.keys.len() > MOST_KEYS {
            return Err(KeyError::NotJwks);
        }
        let jwks = published
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Ok(Self(jwks.filter_map(|jwk| VerifyingKey::of_jwk(&jwk)).collect()))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one has this id.
    pub(super) fn have(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys that a token with this header may be signed with: those of its algorithm, and of its `kid`
    /// where both have one.
    pub(super) fn candidates(&self, header: &Header) -> impl Iterator<Item = &VerifyingKey> {
        let (algorithm, id) = (header.alg, header.kid.clone());
        self.0.iter().filter(move |key| {
            key.algorithm == algorithm && (key.id.is_none() || id.is_none() || key.id == id)
        })
    }
}
