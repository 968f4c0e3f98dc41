//! Commands that their client named: kept for a day and more, so that a repeat gets the first one's
//! result.

use std::time::Duration;

use domain::{CommandId, Fingerprint, Timestamp};

/// How long a command is remembered after it was recorded. A day is promised; the rest is for clocks
/// that differ.
pub const RETENTION: Duration = Duration::from_secs(26 * 60 * 60);

/// A named command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// The subject of the stream it went to.
    pub stream: String,
    /// The command.
    pub id: CommandId,
    /// What it asked for.
    pub fingerprint: Fingerprint,
    /// The sequence of the commit that holds its events.
    pub sequence: u64,
    /// When they were recorded.
    pub recorded_at: Timestamp,
}

/// What was recorded before this time need not be remembered at `now`.
#[must_use]
pub fn forgotten_before(now: Timestamp) -> Timestamp {
    let retention = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(retention))
}
