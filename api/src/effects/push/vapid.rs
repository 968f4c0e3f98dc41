//! How push services know this server: a signed token for each of them (RFC 8292).

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// The bytes of a private key.
const KEY_BYTES: usize = 32;
/// For how many seconds a token is good; the RFC allows a day.
const TOKEN_SECONDS: i64 = 12 * 60 * 60;
const HEADER: &str = r#"{"typ":"JWT","alg":"ES256"}"#;

/// A pair of keys on P-256.
#[derive(Clone)]
pub struct VapidKey {
    secret: [u8; KEY_BYTES],
    point: Vec<u8>,
    pair: Arc<EcdsaKeyPair>,
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VapidKey(…)")
    }
}

impl VapidKey {
    /// A new pair.
    #[must_use]
    pub fn draw() -> Self {
        // Nearly every number is a key.
        loop {
            if let Some(key) = Self::of(rand::random()) {
                return key;
            }
        }
    }

    fn of(secret: [u8; KEY_BYTES]) -> Option<Self> {
        let private = PrivateKey::from_private_key(&ECDH_P256, &secret).ok()?;
        let point = private.compute_public_key().ok()?.as_ref().to_vec();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &secret, &point).ok()?;
        Some(Self {
            secret,
            point,
            pair: Arc::new(pair),
        })
    }

    /// The public key, an uncompressed point in base64url.
    #[must_use]
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.point)
    }

    /// The private key, in base64url.
    #[must_use]
    pub fn private(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secret)
    }

    /// A token for the push service of this origin.
    pub(super) fn token(&self, origin: &str, subject: &VapidSubject, now: i64) -> Option<String> {
        let claims = json!({"aud": origin, "exp": now + TOKEN_SECONDS, "sub": subject.0});
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(HEADER),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl FromStr for VapidKey {
    type Err = String;

    /// The private key itself, or the name of a file that holds it.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(key) = read(text) {
            return Ok(key);
        }
        let refused =
            "it is neither a private key of P-256, 32 bytes in base64url, nor a file that holds one";
        let held = std::fs::read_to_string(Path::new(text)).map_err(|_| refused.to_owned())?;
        read(held.trim()).ok_or_else(|| refused.to_owned())
    }
}

fn read(text: &str) -> Option<VapidKey> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    VapidKey::of(bytes.try_into().ok()?)
}

/// Whom a push service may write to about what this server sends.
#[derive(Clone, Debug)]
pub struct VapidSubject(String);

impl FromStr for VapidSubject {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_mail = text
            .strip_prefix("mailto:")
            .is_some_and(|mail| mail.contains('@'));
        let is_page = text.strip_prefix("https://").is_some_and(|page| !page.is_empty());
        if (is_mail || is_page) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("it is neither mailto:somebody@example.com nor an https URL")
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn verifies(token: &str, public: &str) -> bool {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let point = URL_SAFE_NO_PAD.decode(public).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &signature)
            .is_ok()
    }

    /// RFC 8292, section 2.4: what is signed is spelled as there, and what was signed there is good here.
    #[test]
    fn a_token_is_as_the_example_of_the_rfc() {
        let example = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiO\
                       jE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMl\
                       MuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA";
        let public =
            "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs";
        assert!(verifies(example, public));
        let key = VapidKey::draw();
        let subject = "mailto:push@example.com".parse().unwrap();
        let token = key
            .token(
                "https://push.example.net",
                &subject,
                1_453_523_768 - TOKEN_SECONDS,
            )
            .unwrap();
        assert_eq!(
            token.rsplit_once('.').unwrap().0,
            example.rsplit_once('.').unwrap().0
        );
        assert!(verifies(&token, &key.public()));
        assert!(!verifies(&token, public));
    }

    #[test]
    fn a_key_is_a_text_or_in_a_file() {
        let key = VapidKey::draw();
        let same: VapidKey = key.private().parse().unwrap();
        assert_eq!(same.public(), key.public());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{}\n", key.private())).unwrap();
        let same: VapidKey = file.path().to_str().unwrap().parse().unwrap();
        assert_eq!(same.public(), key.public());
        for bad in ["", "AAAA", &"A".repeat(43), "/nowhere"] {
            assert!(bad.parse::<VapidKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_subject_is_a_mail_address_or_a_page() {
        for good in ["mailto:ops@example.com", "https://example.com/contact"] {
            assert!(good.parse::<VapidSubject>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "ops@example.com",
            "mailto:",
            "http://example.com",
            "mailto:a b@c",
        ] {
            assert!(bad.parse::<VapidSubject>().is_err(), "{bad}");
        }
    }
}
