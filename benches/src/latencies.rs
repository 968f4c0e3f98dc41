//! Latencies: how long something took, from the moment it was due.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Three digits of everything up to a minute.
pub(crate) struct Latencies(Histogram<u64>);

/// What is told of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Summary {
    /// How many there were.
    pub(crate) count: u64,
    /// Half took less.
    pub(crate) p50: f64,
    /// One in a hundred took longer.
    pub(crate) p99: f64,
    /// None took longer.
    pub(crate) max: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        // Saturating, so a bound that is exceeded only makes the maximum a lower bound.
        let histogram = Histogram::new_with_bounds(1, 60_000_000, 3);
        Self(histogram.unwrap_or_else(|_| unreachable!("the bounds are in order")))
    }
}

impl Latencies {
    /// Takes one in.
    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    /// Takes in all of someone else's.
    pub(crate) fn add(&mut self, others: &Self) {
        // Bounds are the same everywhere.
        self.0.add(&others.0).unwrap_or_default();
    }

    /// What they were.
    pub(crate) fn summary(&self) -> Summary {
        let millis = |micros: u64| std::time::Duration::from_micros(micros).as_secs_f64() * 1_000.0;
        Summary {
            count: self.0.len(),
            p50: millis(self.0.value_at_quantile(0.5)),
            p99: millis(self.0.value_at_quantile(0.99)),
            max: millis(self.0.max()),
        }
    }
}
