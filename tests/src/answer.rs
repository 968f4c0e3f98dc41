//! An answer of the HTTP API, and what must be true of it.

use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The same, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        self.expect_any(&[status])
    }

    /// The same, if it has one of these statuses.
    ///
    /// # Panics
    /// If it has another.
    #[track_caller]
    pub fn expect_any(self, statuses: &[u16]) -> Self {
        assert!(
            statuses.contains(&self.status),
            "{} instead of {statuses:?}: {}",
            self.status,
            self.text()
        );
        self
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it has another shape.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header, empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as a problem document of RFC 9457, complete and of this very status.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn problem(&self) -> Value {
        let kind = self.header("content-type");
        assert!(
            kind.starts_with("application/problem+json"),
            "{} {kind}: {}",
            self.status,
            self.text()
        );
        let problem: Value = self.json();
        for field in ["type", "title", "code", "detail"] {
            assert!(
                problem[field].as_str().is_some_and(|v| !v.is_empty()),
                "no {field}: {problem}"
            );
        }
        assert_eq!(problem["status"], self.status, "{problem}");
        problem
    }

    /// Where the command was recorded: the sequence within `epoch-shard-sequence`.
    ///
    /// # Panics
    /// If the answer does not say it.
    #[must_use]
    #[track_caller]
    pub fn sequence(&self) -> u64 {
        let position = self.header("x-position");
        let sequence = position
            .rsplit('-')
            .next()
            .and_then(|sequence| sequence.parse().ok());
        sequence.unwrap_or_else(|| panic!("no position: {self:?}"))
    }
}
