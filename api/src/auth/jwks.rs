//! Keys that somebody else publishes and changes: a JWKS in a file or at a URL.
//!
//! It is read again every few minutes, and when a token names a key that is not in it. What cannot be read
//! changes nothing: the keys that were read last go on being used, and the log and the metrics say so.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::keys::{KeyError, KeySet};

/// How long the answer may take, and how large it may be.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1024 * 1024;
/// How long after a token with an unknown key the next one leads to nothing: whoever makes such tokens up
/// does not make us ask more often.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(10);
/// How soon it is tried again at the latest after it failed.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Where a JWKS is.
#[derive(Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// In a file.
    File(PathBuf),
    /// At an `http` or `https` URL.
    Url(Url),
}

impl FromStr for JwksSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return if text.is_empty() {
                Err("it is empty".to_owned())
            } else {
                Ok(Self::File(text.into()))
            };
        }
        let url = text.parse::<Url>().ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
        });
        let error = "it is neither a file nor a URL such as https://id.example.com/.well-known/jwks.json";
        url.map(Self::Url).ok_or_else(|| error.to_owned())
    }
}

/// Without the query of a URL, which may be a secret.
impl fmt::Display for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url.as_str().split(['?', '#']).next().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a JWKS could not be read.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The file could not be read.
    #[error("the file cannot be read")]
    File(#[from] std::io::Error),
    /// No answer came.
    #[error("there was no answer")]
    Fetch(#[source] reqwest::Error),
    /// The answer was another one than 200.
    #[error("the answer was {0}")]
    Status(StatusCode),
    /// It is larger than it may be.
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// It holds no keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

/// Reads a JWKS from where it is.
enum Reader {
    File(PathBuf),
    Url(Client, Url),
}

impl Reader {
    fn of(source: &JwksSource) -> Result<Self, JwksError> {
        Ok(match source {
            JwksSource::File(path) => Self::File(path.clone()),
            JwksSource::Url(url) => {
                // A redirect could lead from https to http.
                let client = Client::builder().timeout(PATIENCE).redirect(Policy::none());
                Self::Url(client.build().map_err(JwksError::Fetch)?, url.clone())
            }
        })
    }

    async fn read(&self) -> Result<KeySet, JwksError> {
        let bytes = match self {
            Self::File(path) => tokio::fs::read(path).await?,
            Self::Url(client, url) => fetch(client, url).await?,
        };
        Ok(KeySet::of_jwks(&bytes)?)
    }
}

async fn fetch(client: &Client, url: &Url) -> Result<Vec<u8>, JwksError> {
    let failed = |error: reqwest::Error| JwksError::Fetch(error.without_url());
    let mut answer = client.get(url.clone()).send().await.map_err(failed)?;
    if answer.status() != StatusCode::OK {
        return Err(JwksError::Status(answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(failed)? {
        if bytes.len() + piece.len() > MAX_BYTES {
            return Err(JwksError::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The keys of a JWKS, as it was when it was last read.
pub struct Jwks {
    source: JwksSource,
    reader: Reader,
    keys: ArcSwap<KeySet>,
    /// When a token with an unknown key last led to a look.
    looked: Mutex<Option<Instant>>,
    pause: Duration,
}

impl Jwks {
    /// Reads a JWKS for the first time.
    ///
    /// # Errors
    /// [`JwksError`] when it cannot be read, or holds no key that can be used.
    pub async fn open(source: JwksSource) -> Result<Arc<Self>, JwksError> {
        let reader = Reader::of(&source)?;
        let keys = reader.read().await?;
        if keys.is_empty() {
            return Err(KeyError::NoKey.into());
        }
        Ok(Arc::new(Self {
            source,
            reader,
            keys: ArcSwap::from_pointee(keys),
            looked: Mutex::default(),
            pause: UNKNOWN_PAUSE,
        }))
    }

    pub(super) fn keys(&self) -> Guard<Arc<KeySet>> {
        self.keys.load()
    }

    /// Reads it again now and then, until it is cancelled.
    pub async fn keep_fresh(self: Arc<Self>, every: Duration, cancel: CancellationToken) {
        told(&self.keys());
        let mut wait = every;
        while cancel.run_until_cancelled(sleep(wait)).await.is_some() {
            wait = if self.refresh().await {
                every
            } else {
                every.min(RETRY_AFTER)
            };
        }
    }

    /// Reads it again because a token names a key that is not in it, unless that was done just now. Whoever
    /// comes meanwhile waits for the same look.
    pub(super) async fn look_for_unknown(self: &Arc<Self>) {
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|at| at.elapsed() < self.pause) {
            return;
        }
        *looked = Some(Instant::now());
        // A task of its own: a client that goes away ends neither the look nor the pause after it.
        let this = Arc::clone(self);
        let _ = tokio::spawn(async move { this.refresh().await }).await;
    }

    /// Reads it again, and says whether that was possible. A set without keys is taken, too: that is how
    /// all of them are withdrawn.
    pub(super) async fn refresh(&self) -> bool {
        match self.reader.read().await {
            Ok(keys) => {
                metrics::counter!("verbatim_jwks_refreshes_total", "outcome" => "ok").increment(1);
                if keys.is_empty() {
                    tracing::warn!(jwks = %self.source, "the keys of tokens were withdrawn");
                }
                told(&keys);
                self.keys.store(Arc::new(keys));
                true
            }
            Err(error) => {
                metrics::counter!("verbatim_jwks_refreshes_total", "outcome" => "failed").increment(1);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(jwks = %self.source, %error, cause, "the keys of tokens stay as they were");
                false
            }
        }
    }
}

/// Tells the metrics how many keys there are, and since when.
fn told(keys: &KeySet) {
    #[allow(clippy::cast_precision_loss, reason = "there are few")]
    metrics::gauge!("verbatim_jwks_keys").set(keys.len() as f64);
    #[allow(clippy::cast_precision_loss, reason = "seconds are exact for long")]
    metrics::gauge!("verbatim_jwks_refreshed_seconds").set(jsonwebtoken::get_current_timestamp() as f64);
}
