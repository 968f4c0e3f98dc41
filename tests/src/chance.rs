//! Random moments: of kills above all.

use std::time::Duration;

use rand::RngExt;

/// A number in this range, its ends among them.
#[must_use]
pub fn random(from: u64, to: u64) -> u64 {
    rand::rng().random_range(from..=to)
}

/// Lets a random time pass, up to this: it is the moment of what comes then that is random.
pub async fn pause(at_most: Duration) {
    tokio::time::sleep(at_most.mul_f64(rand::rng().random_range(0.0..=1.0))).await;
}

/// Whether tests are to try many more random moments than they do by default.
#[must_use]
pub fn is_long_run() -> bool {
    std::env::var_os("VERBATIM_TEST_LONG").is_some()
}
