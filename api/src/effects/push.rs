//! Web Push: a notification for a device, through the push service of its browser (RFC 8030).
//!
//! What is said is encrypted for the device ([`encrypt`], RFC 8291), and the push service knows this server by its
//! key ([`vapid`], RFC 8292). Endpoints are named by users, so only public addresses are connected to
//! ([`address`]).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::push::{PushError, PushTarget};
use domain::{ConversationId, MessageId, TenantId, UserId};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::address::PublicResolver;
use self::encrypt::MAX_TEXT;
use self::vapid::{VapidKey, VapidSubject};
use super::content::Content;
use super::deliver::Sent;
use super::store::Delivery;
use super::webhook::{is_loopback, retry_after, silence};
use crate::app::now;
use crate::wire::Time;

pub mod address;
pub mod encrypt;
pub mod vapid;

/// As what this server calls others.
pub(super) const USER_AGENT: &str = concat!("verbatim/", env!("CARGO_PKG_VERSION"));
/// How long an attempt may take, and a connection among it.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// How much of a message's text goes along: this many Unicode scalar values.
const PREVIEW: usize = 200;

/// Sends to push services.
pub struct Push {
    client: Client,
    key: VapidKey,
    subject: VapidSubject,
    allows_private: bool,
}

/// What a device is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    message_id: MessageId,
    conversation_id: ConversationId,
    conversation_type: domain::conversation::Kind,
    conversation_name: Option<&'a str>,
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    sender_id: &'a UserId,
    sender_name: Option<&'a str>,
    message_type: domain::conversation::MessageKind,
    content: Option<String>,
    created_at: Time,
}

impl Push {
    /// Push services are told to be spoken to by this key. `allows_private` lets endpoints lie on any address,
    /// and on this machine be without TLS: for tests.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(key: VapidKey, subject: VapidSubject, allows_private: bool) -> Result<Self, reqwest::Error> {
        // A redirect or a proxy could lead to an address that nobody looked at.
        let client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(USER_AGENT);
        let client = if allows_private {
            client
        } else {
            client.dns_resolver(Arc::new(PublicResolver))
        };
        Ok(Self {
            client: client.build()?,
            key,
            subject,
            allows_private,
        })
    }

    /// The key that browsers subscribe with (`applicationServerKey`), an uncompressed point in base64url.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.key.public()
    }

    /// Refuses a device that nothing can be sent to.
    ///
    /// # Errors
    /// [`PushError`] that names what is wrong with it.
    pub fn check(&self, target: &PushTarget) -> Result<(), PushError> {
        self.url(target).ok_or(PushError::Endpoint)?;
        let point = URL_SAFE_NO_PAD
            .decode(target.p256dh.as_str())
            .map_err(|_| PushError::Point)?;
        if !encrypt::is_point(&point) {
            return Err(PushError::Point);
        }
        let secret = URL_SAFE_NO_PAD.decode(target.auth.as_str());
        secret.map(drop).map_err(|_| PushError::Secret)
    }

    /// Where to send to, if that is allowed. A name is looked at when it is connected to.
    fn url(&self, target: &PushTarget) -> Option<Url> {
        let url = target.endpoint.as_str().parse::<Url>().ok()?;
        let has_login = !url.username().is_empty() || url.password().is_some();
        let is_allowed = match url.scheme() {
            "https" => self.allows_private || !address::is_private_host(&url),
            "http" => self.allows_private && is_loopback(&url),
            _ => false,
        };
        (is_allowed && !has_login).then_some(url)
    }

    pub(super) async fn send(
        &self,
        delivery: &Delivery,
        target: &PushTarget,
        content: Content,
        ttl: Duration,
    ) -> Sent {
        let text = notification(delivery, &content);
        let sealed = URL_SAFE_NO_PAD
            .decode(target.p256dh.as_str())
            .ok()
            .zip(URL_SAFE_NO_PAD.decode(target.auth.as_str()).ok())
            .and_then(|(point, secret)| encrypt::encrypt(&text, &point, &secret));
        let (Some(url), Some(body)) = (self.url(target), sealed) else {
            return never("the subscription cannot be sent to");
        };
        let seconds = now().as_millis() / 1_000;
        let Some(token) = self
            .key
            .token(&url.origin().ascii_serialization(), &self.subject, seconds)
        else {
            return Sent::refused("the request could not be signed");
        };
        let answer = self
            .client
            .post(url)
            .header(AUTHORIZATION, format!("vapid t={token}, k={}", self.key.public()))
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_ENCODING, "aes128gcm")
            .header("ttl", ttl.as_secs())
            .header("urgency", "high")
            .header("topic", topic(&delivery.tenant, delivery.message.conversation))
            .body(body)
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Sent::refused(silence(&error)),
        };
        match answer.status() {
            status if status.is_success() => Sent::Taken,
            StatusCode::NOT_FOUND | StatusCode::GONE => Sent::Gone,
            // The same would be as large the next time.
            StatusCode::PAYLOAD_TOO_LARGE => never("the answer was 413"),
            status => Sent::Refused {
                reason: format!("the answer was {}", status.as_u16()),
                retry_after: retry_after(answer.headers()),
                is_final: false,
            },
        }
    }
}

fn never(reason: &str) -> Sent {
    Sent::Refused {
        reason: reason.to_owned(),
        retry_after: None,
        is_final: true,
    }
}

/// The text for a device, as much of it as one record holds.
fn notification(delivery: &Delivery, content: &Content) -> Vec<u8> {
    let message = &content.message;
    let preview = message.content.as_deref();
    let mut told = Notification {
        kind: "message",
        id: &delivery.id,
        message_id: message.id,
        conversation_id: content.conversation.id,
        conversation_type: content.conversation.kind,
        conversation_name: content.conversation.name.as_deref(),
        sender_id: &message.sender,
        sender_name: content.sender.name.as_deref(),
        message_type: message.kind,
        content: preview.map(|text| text.chars().take(PREVIEW).collect()),
        created_at: Time(message.sent_at),
    };
    // Escapes may make a text much longer than it is. The device can ask for what is missing.
    let mut text = serde_json::to_vec(&told).unwrap_or_default();
    if text.len() > MAX_TEXT {
        told.content = None;
        text = serde_json::to_vec(&told).unwrap_or_default();
    }
    if text.len() > MAX_TEXT {
        (told.conversation_name, told.sender_name) = (None, None);
        text = serde_json::to_vec(&told).unwrap_or_default();
    }
    text
}

/// Of one conversation a push service keeps the newest alone, for a device that is off. It learns no id.
fn topic(tenant: &TenantId, conversation: ConversationId) -> String {
    let hash = Sha256::new()
        .chain_update(b"verbatim topic\0")
        .chain_update(tenant.as_str())
        .chain_update(conversation.to_bytes())
        .finalize();
    URL_SAFE_NO_PAD.encode(&hash[..16])
}

#[cfg(test)]
mod tests {
    use domain::push::{PushEndpoint, PushPoint, PushSecret};

    use super::*;

    const POINT: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

    fn push(allows_private: bool) -> Push {
        let subject = "mailto:ops@example.com".parse().unwrap();
        Push::new(VapidKey::draw(), subject, allows_private).unwrap()
    }

    fn check(allows_private: bool, endpoint: &str, point: &str) -> Result<(), PushError> {
        push(allows_private).check(&PushTarget {
            endpoint: PushEndpoint::parse(endpoint)?,
            p256dh: PushPoint::parse(point)?,
            auth: PushSecret::parse("BTBZMqHH6r4Tts7J_aSIgg")?,
        })
    }

    #[test]
    fn a_device_must_be_reachable_and_its_key_on_the_curve() {
        assert_eq!(check(false, "https://push.example.com/1", POINT), Ok(()));
        for bad in [
            "http://push.example.com/1",
            "https://u:p@push.example.com/1",
            "https://127.0.0.1/1",
            "https://10.1.2.3/1",
            "https://[::1]/1",
            "https://[::ffff:192.168.0.1]/1",
            "https://169.254.169.254/latest",
            "https://localhost/1",
            "https://2130706433/1",
        ] {
            assert_eq!(check(false, bad, POINT), Err(PushError::Endpoint), "{bad}");
        }
        assert_eq!(check(true, "http://127.0.0.1:1/1", POINT), Ok(()));
        assert_eq!(check(true, "http://10.0.0.1/1", POINT), Err(PushError::Endpoint));
        let off = format!("B{}", "A".repeat(86));
        assert_eq!(
            check(false, "https://push.example.com/1", &off),
            Err(PushError::Point)
        );
    }

    #[test]
    fn a_topic_is_what_push_services_take() {
        let tenant = TenantId::parse("t").unwrap();
        let one = topic(&tenant, ConversationId::from_bytes([1; 16]));
        assert!(
            one.len() <= 32
                && one
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert_ne!(one, topic(&tenant, ConversationId::from_bytes([2; 16])));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        use tokio::net::TcpListener;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = push(false)
            .client
            .get(format!("https://localhost:{port}/"))
            .send()
            .await
            .unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        let came = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(came.is_err(), "somebody connected");
    }
}
