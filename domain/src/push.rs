//! Where a user's devices are notified: push subscriptions, as browsers hand them out (RFC 8030, RFC 8291).

use serde::{Deserialize, Serialize};

/// How many subscriptions a user has at most.
pub const MAX_SUBSCRIPTIONS: usize = 20;
/// The most bytes of an endpoint.
pub const MAX_ENDPOINT: usize = 2_048;
/// The characters of an uncompressed point of P-256, 65 bytes, in base64url.
const POINT: usize = 87;
/// The characters of an authentication secret, 16 bytes, in base64url.
const SECRET: usize = 22;

/// Why a text is no part of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Not a URL that can be sent to.
    #[error("endpoint must be an https URL of at most {MAX_ENDPOINT} bytes")]
    Endpoint,
    /// Not an uncompressed point.
    #[error("p256dh must be an uncompressed point of P-256, 65 bytes, in base64url")]
    Point,
    /// Not a secret.
    #[error("auth must be 16 bytes in base64url")]
    Secret,
}

macro_rules! push_text {
    ($(#[$doc:meta])* $name:ident, $check:expr, $error:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses it from text of the outside.
            ///
            /// # Errors
            /// [`PushError`] when the text is none.
            pub fn parse(text: impl Into<String>) -> Result<Self, PushError> {
                let text = text.into();
                if $check(&text) { Ok(Self(text)) } else { Err($error) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = PushError;

            fn try_from(text: String) -> Result<Self, PushError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

push_text! {
    /// The URL at the push service. Whoever has it can have the device woken up. Plain `http` is for tests: who
    /// takes it in decides.
    PushEndpoint, is_url, PushError::Endpoint
}
push_text! {
    /// The device's public key, without padding.
    PushPoint, |text: &str| text.len() == POINT && text.starts_with('B') && is_base64url(text), PushError::Point
}
push_text! {
    /// What device and server share beside the key, without padding.
    PushSecret, |text: &str| text.len() == SECRET && is_base64url(text), PushError::Secret
}

/// A device that can be notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTarget {
    /// Where to send to.
    pub endpoint: PushEndpoint,
    /// What is sent is encrypted for this key.
    pub p256dh: PushPoint,
    /// And with this secret.
    pub auth: PushSecret,
}

fn is_base64url(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    text.len() <= MAX_ENDPOINT
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_subscription_is_refused() {
        let point = format!("B{}", "a".repeat(86));
        assert!(PushPoint::parse(point.clone()).is_ok());
        for bad in [
            "",
            "B",
            &point[1..],
            &format!("A{}", &point[1..]),
            &format!("{}=", &point[..86]),
        ] {
            assert_eq!(PushPoint::parse(bad), Err(PushError::Point), "{bad}");
        }
        assert!(PushSecret::parse("-_".repeat(11)).is_ok());
        for bad in ["", "a", &"a".repeat(24), &"+".repeat(22)] {
            assert_eq!(PushSecret::parse(bad), Err(PushError::Secret), "{bad}");
        }
        assert!(PushEndpoint::parse("https://push.example.com/a?b=c").is_ok());
        let long = format!("https://h/{}", "x".repeat(MAX_ENDPOINT));
        for bad in [
            "",
            "https://",
            "https:///a",
            "ftp://h/",
            "https://h/ä",
            "https://h/ a",
            &long,
        ] {
            assert_eq!(PushEndpoint::parse(bad), Err(PushError::Endpoint), "{bad}");
        }
    }
}
