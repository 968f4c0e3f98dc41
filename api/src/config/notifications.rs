//! Who is told of messages while they are away, and how.

use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::parse_duration;
use super::secret::Unrepeated;
use crate::effects::push::vapid::{VapidKey, VapidSubject};
use crate::effects::webhook::{WebhookSecret, WebhookUrl};

/// The most attempts at a delivery: with the longest pauses they take days.
const MOST_ATTEMPTS: u64 = 500;

/// Who is told of messages while they are away, and how. Every node of a cluster is given the same.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Notifications")]
pub struct Notifications {
    /// The URL that is called for members who are away: https, or http on this machine.
    #[arg(
        long,
        env = "VERBATIM_WEBHOOK_URL",
        value_name = "URL",
        requires = "webhook_secret",
        hide_env_values = true,
        value_parser = Unrepeated::<WebhookUrl>::default()
    )]
    pub webhook_url: Option<WebhookUrl>,
    /// What calls are signed with: `whsec_` and 24 to 64 bytes in base64. May be repeated, or hold several with
    /// commas between them: a call has a signature of each, so that one can take the place of another.
    #[arg(
        long,
        env = "VERBATIM_WEBHOOK_SECRET",
        value_name = "SECRET",
        value_delimiter = ',',
        requires = "webhook_url",
        hide_env_values = true,
        value_parser = Unrepeated::<WebhookSecret>::default()
    )]
    pub webhook_secret: Vec<WebhookSecret>,
    /// The private key of Web Push, as `verbatim vapid-key` prints it, or a file that holds it.
    #[arg(
        long,
        env = "VERBATIM_VAPID_KEY",
        value_name = "KEY|FILE",
        requires = "vapid_subject",
        hide_env_values = true,
        value_parser = Unrepeated::<VapidKey>::default()
    )]
    pub vapid_key: Option<VapidKey>,
    /// Whom push services may write to: `mailto:ops@example.com`, or an https URL.
    #[arg(
        long,
        env = "VERBATIM_VAPID_SUBJECT",
        value_name = "SUBJECT",
        requires = "vapid_key"
    )]
    pub vapid_subject: Option<VapidSubject>,
    /// Let push endpoints lie on any address, and without TLS on this machine: for tests and development.
    #[arg(long, env = "VERBATIM_PUSH_ALLOW_PRIVATE")]
    pub push_allow_private: bool,
    /// How often a notification is tried before it is a dead letter.
    #[arg(
        long,
        env = "VERBATIM_NOTIFY_ATTEMPTS",
        value_name = "NUMBER",
        default_value_t = 12,
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=MOST_ATTEMPTS)
    )]
    pub notify_attempts: u32,
    /// How old a message may be when it comes to notifying of it: after a time without the server, nobody is
    /// notified of what is older.
    #[arg(
        long,
        env = "VERBATIM_NOTIFY_MAX_AGE",
        value_name = "TIME",
        default_value = "1h",
        value_parser = parse_age
    )]
    pub notify_max_age: Duration,
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let age = parse_duration(text)?;
    if age.is_zero() {
        return Err("it is no time at all".to_owned());
    }
    Ok(age)
}
