//! Times, and what is said about them.

use std::time::Duration;

/// Times that were measured under one name.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The time that half of them do not exceed.
    #[must_use]
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The time that so many in a hundred do not exceed; there must be one.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// A time in milliseconds, for a report.
#[must_use]
pub fn in_millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// A time in microseconds, for a report.
#[must_use]
pub fn in_micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000_000.0
}

/// The median of figures that were measured in rounds; there must be one.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
