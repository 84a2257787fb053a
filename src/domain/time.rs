//! Time: instants to the millisecond, and the clock they come from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const RFC3339_MILLIS: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The last instant that has an RFC 3339 form, which stands for all later ones.
const LATEST: &[u8; 24] = b"9999-12-31T23:59:59.999Z";

impl Timestamp {
    /// A minute in milliseconds.
    pub const MINUTE_MILLIS: i64 = 60 * 1_000;
    /// A day in milliseconds.
    pub const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

    /// How far a stored instant may lie ahead of now: clocks of instances differ by that much at most while they are right.
    const MAX_AHEAD_MILLIS: i64 = 60 * 1_000;

    /// The instant that is `millis` after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The instant `millis` later, or earlier when negative.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The latest instant that can have been stored by a clock that was right.
    #[must_use]
    pub fn latest_credible(now: Self) -> Self {
        now.plus_millis(Self::MAX_AHEAD_MILLIS)
    }

    /// Whether a clock that was right can have stored this instant. One that does not count as stored: a clock that was
    /// ahead for a minute must not decide for as long as it was ahead.
    #[must_use]
    pub fn is_credible(self, now: Self) -> bool {
        self <= Self::latest_credible(now)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2026-11-23T12:50:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = *LATEST;
        if let Ok(instant) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            && instant.format_into(&mut text.as_mut_slice(), RFC3339_MILLIS).is_err()
        {
            text = *LATEST;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_not_ascii| fmt::Error)?)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the process takes the time from: the system's clock, moved by an offset that tests set.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_millis: Arc<AtomicI64>,
}

impl Clock {
    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
        let millis = i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
        Timestamp(millis).plus_millis(self.offset_millis.load(Ordering::Relaxed))
    }

    /// Moves this clock and all its clones forward.
    pub fn advance_millis(&self, millis: i64) {
        self.offset_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_795_438_200_007).to_string(), "2026-11-23T12:50:00.007Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn all_clones_of_a_clock_move_together() {
        let clock = Clock::default();
        let clone = clock.clone();
        let before = clone.now();
        clock.advance_millis(Timestamp::DAY_MILLIS);
        assert!(clone.now() >= before.plus_millis(Timestamp::DAY_MILLIS));
    }
}
