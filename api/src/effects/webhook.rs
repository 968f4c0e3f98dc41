//! The webhook: a signed POST per page of members, as [Standard Webhooks](https://www.standardwebhooks.com) has it.
//!
//! The body is a CloudEvent 1.0 in JSON. Its `id`, which is also the header `webhook-id`, stays the same however
//! often it is sent; timestamp and signature are those of the attempt.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::UserId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::content::{Content, Place};
use super::deliver::Sent;
use super::store::Delivery;
use crate::app::now;
use crate::attachments::links::Links;
use crate::wire::{Account, Message, Time};

/// How long an attempt may take, and a connection among it.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// The bytes that a secret may have.
const SECRET_BYTES: [usize; 2] = [24, 64];
const SECRET_PREFIX: &str = "whsec_";
const EVENT_TYPE: &str = "chat.notification.message.v1";

/// Where the webhook is: at an `https` URL, or at an `http` one on this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl FromStr for WebhookUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const ERROR: &str = "it is no URL such as https://app.example.com/hooks/chat (http on loopback alone), \
                             without a user or password";
        let url = text.parse::<Url>().map_err(|_| ERROR)?;
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        if is_safe && url.username().is_empty() && url.password().is_none() {
            Ok(Self(url))
        } else {
            Err(ERROR)
        }
    }
}

/// A URL may hold a secret, so that only its host is shown.
impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}, …)", self.0.host_str().unwrap_or_default())
    }
}

/// Whether a URL leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What calls are signed with.
#[derive(Clone)]
pub struct WebhookSecret(hmac::Key);

impl FromStr for WebhookSecret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const ERROR: &str = "a webhook secret is whsec_ and 24 to 64 bytes in base64";
        let text = text.strip_prefix(SECRET_PREFIX).ok_or(ERROR)?;
        let bytes = STANDARD.decode(text).map_err(|_| ERROR)?;
        let [least, most] = SECRET_BYTES;
        if (least..=most).contains(&bytes.len()) {
            Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
        } else {
            Err(ERROR)
        }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// Calls a webhook.
pub struct Webhook {
    client: Client,
    url: WebhookUrl,
    secrets: Vec<WebhookSecret>,
}

/// The body of a call.
#[derive(Serialize)]
struct Call<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    event_type: &'static str,
    time: Time,
    subject: String,
    tenant: &'a str,
    datacontenttype: &'static str,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    message: Message,
    sender: Account,
    conversation: Place,
    #[serde(serialize_with = "crate::wire::user_ids::several")]
    recipients: Vec<UserId>,
}

impl Webhook {
    /// A webhook that is called with a signature under each of these secrets.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(url: WebhookUrl, secrets: Vec<WebhookSecret>) -> Result<Self, reqwest::Error> {
        // A redirect could lead from https to http.
        let client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            .user_agent(super::push::USER_AGENT);
        // This machine is not beyond a proxy.
        let client = if is_loopback(&url.0) {
            client.no_proxy()
        } else {
            client
        };
        Ok(Self {
            client: client.build()?,
            url,
            secrets,
        })
    }

    pub(super) async fn send(&self, delivery: &Delivery, content: Content, links: &Links) -> Sent {
        let sender = content.message.sender.clone();
        let call = Call {
            specversion: "1.0",
            id: &delivery.id,
            source: "/verbatim",
            event_type: EVENT_TYPE,
            time: Time(delivery.recorded_at),
            subject: delivery.message.to_string(),
            tenant: delivery.tenant.as_str(),
            datacontenttype: "application/json",
            data: Data {
                message: Message::from_view(content.message, links),
                sender: Account::of(sender, content.sender, false),
                conversation: content.conversation,
                recipients: content.recipients,
            },
        };
        let Ok(body) = serde_json::to_vec(&call) else {
            return Sent::refused("it cannot be told in JSON");
        };
        let timestamp = now().as_millis() / 1_000;
        let signatures: Vec<_> = self
            .secrets
            .iter()
            .map(|secret| sign(secret, &delivery.id, timestamp, &body))
            .collect();
        let answer = self
            .client
            .post(self.url.0.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(body)
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => Sent::Taken,
            Ok(answer) => Sent::Refused {
                reason: format!("the answer was {}", answer.status().as_u16()),
                retry_after: retry_after(answer.headers()),
                is_final: false,
            },
            Err(error) => Sent::refused(silence(&error)),
        }
    }
}

/// The signature of one secret: over id, timestamp and body.
fn sign(secret: &WebhookSecret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&secret.0);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

/// Why no answer came, without where it should have come from.
pub(super) fn silence(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "there was no answer in time"
    } else if error.is_connect() {
        "there was no connection"
    } else {
        "there was no answer"
    }
}

/// How long the receiver wants to be left alone: seconds, or until a time.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    let wait = until.unix_timestamp() - now().as_millis() / 1_000;
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_call_is_signed_as_the_standard_says() {
        // The example of the specification's libraries.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_webhook_is_https_or_on_this_machine() {
        for good in [
            "https://app.example.com/hooks?key=1",
            "http://localhost:1/",
            "http://127.0.0.1:1/",
            "http://[::1]/",
        ] {
            assert!(good.parse::<WebhookUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "app.example.com",
            "http://app.example.com/",
            "https://u:p@h/",
            "ftp://localhost/",
            "http://10.0.0.1/",
        ] {
            assert!(bad.parse::<WebhookUrl>().is_err(), "{bad}");
        }
        let url: WebhookUrl = "https://h/secret?key=1".parse().unwrap();
        assert_eq!(format!("{url:?}"), "WebhookUrl(h, …)");
    }

    #[test]
    fn a_secret_is_long_enough_and_never_shown() {
        let text = format!("whsec_{}", STANDARD.encode([7; 24]));
        let secret: WebhookSecret = text.parse().unwrap();
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
        for bad in [
            "",
            "whsec_",
            &STANDARD.encode([7; 24]),
            "whsec_bm90IGxvbmc=",
            "whsec_!",
        ] {
            assert!(bad.parse::<WebhookSecret>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_until_a_time() {
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers)
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(asked("Wed, 21 Oct 2099 07:28:00 GMT").is_some_and(|wait| wait > Duration::from_secs(1)));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
