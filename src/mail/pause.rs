//! When mail is tried again: one mail that was put off, and all mail while nothing leaves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::domain::{Clock, Timestamp};

/// How long one mail waits after each attempt; the last for all that follow.
const MAIL_DELAYS: [i64; 9] =
    [10 * SECOND, 30 * SECOND, 60 * SECOND, 120 * SECOND, 300 * SECOND, 600 * SECOND, 1_200 * SECOND, 2_400 * SECOND, 3_600 * SECOND];
/// How long all mail waits while nothing leaves: short, since a try costs one connection, and mail is to leave soon after
/// the mail server is back.
const PAUSES: [i64; 5] = [SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND];
const SECOND: i64 = 1_000;
/// How often a wait looks at the clock, which tests move.
const GLANCE: Duration = Duration::from_millis(200);

/// How long a mail waits that has been tried `attempts` times before, in milliseconds.
pub(super) fn mail_delay(attempts: u32) -> i64 {
    nth(&MAIL_DELAYS, attempts)
}

/// The delay after `past` others, give or take a fifth, so that what failed together does not come back together.
fn nth(delays: &[i64], past: u32) -> i64 {
    let index = usize::try_from(past).unwrap_or(usize::MAX).min(delays.len().saturating_sub(1));
    let delay = delays.get(index).copied().unwrap_or(SECOND);
    let random = i64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) * 2 * (delay / 5) / i64::from(u32::MAX);
    delay - delay / 5 + random
}

/// A moment to wait for. It comes when the clock says so, or when that much time has passed by any measure: a clock that is set
/// back must not stretch a wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    at: Timestamp,
    latest: Instant,
}

impl Moment {
    pub(super) fn after(millis: i64, clock: &Clock) -> Self {
        Self { at: clock.now().plus_millis(millis), latest: Instant::now() + Duration::from_millis(millis.unsigned_abs()) }
    }

    pub(super) fn has_come(self, clock: &Clock) -> bool {
        clock.now() >= self.at || Instant::now() >= self.latest
    }

    pub(super) async fn wait(self, clock: &Clock) {
        while !self.has_come(clock) {
            sleep(GLANCE.min(self.latest.saturating_duration_since(Instant::now()))).await;
        }
    }
}

/// The pause of all who send, which grows while nothing leaves.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    end: Option<Moment>,
}

impl Pause {
    /// Has everybody wait after a failure; does nothing when they do already. How many failures there have been in a row.
    pub(super) fn begin(&self, clock: &Clock) -> u32 {
        let mut state = self.state();
        if state.end.is_none_or(|end| end.has_come(clock)) {
            state.end = Some(Moment::after(nth(&PAUSES, state.failures), clock));
            state.failures = state.failures.saturating_add(1);
        }
        state.failures
    }

    /// Notes that something has worked; whether it had not before.
    pub(super) fn clear(&self) -> bool {
        std::mem::take(&mut *self.state()).failures > 0
    }

    /// When the present pause ends, if there is one.
    pub(super) fn end(&self, clock: &Clock) -> Option<Moment> {
        self.state().end.filter(|end| !end.has_come(clock))
    }

    /// Whether the last thing that was tried has failed.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.state().failures > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_about(expected_seconds: i64, millis: i64) {
        let expected = expected_seconds * SECOND;
        assert!((expected * 4 / 5..=expected * 6 / 5).contains(&millis), "{millis} ms instead of about {expected_seconds} s");
    }

    #[test]
    fn a_mail_waits_longer_each_time_up_to_an_hour() {
        for (attempts, seconds) in
            [(0, 10), (1, 30), (2, 60), (3, 120), (4, 300), (5, 600), (6, 1_200), (7, 2_400), (8, 3_600), (u32::MAX, 3_600)]
        {
            for _ in 0..100 {
                assert_about(seconds, mail_delay(attempts));
            }
        }
    }

    #[test]
    fn delays_are_spread() {
        let delays: std::collections::HashSet<i64> = (0..100).map(|_| mail_delay(4)).collect();
        assert!(delays.len() > 50, "{delays:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_while_nothing_works_and_begin_anew_afterwards() {
        let (clock, pause) = (Clock::default(), Pause::default());
        assert!(pause.end(&clock).is_none() && !pause.is_in_doubt() && !pause.clear());
        for (failures, seconds) in [(1, 1), (2, 2), (3, 5), (4, 10), (5, 30), (6, 30)] {
            assert_eq!(pause.begin(&clock), failures);
            assert_eq!(pause.begin(&clock), failures, "one pause for all");
            clock.advance_millis(seconds * SECOND * 4 / 5 - 100);
            assert!(pause.end(&clock).is_some());
            clock.advance_millis(seconds * SECOND * 2 / 5 + 100);
            assert!(pause.end(&clock).is_none() && pause.is_in_doubt());
        }
        assert!(pause.clear());
        assert_eq!(pause.begin(&clock), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_set_back_does_not_stretch_a_wait() {
        let clock = Clock::default();
        let moment = Moment::after(30 * SECOND, &clock);
        clock.advance_millis(-60 * 60 * SECOND);
        let begun = Instant::now();
        moment.wait(&clock).await;
        assert!(begun.elapsed() < Duration::from_secs(31));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_moves_on_ends_a_wait() {
        let clock = Clock::default();
        let moment = Moment::after(30 * SECOND, &clock);
        clock.advance_millis(30 * SECOND);
        let begun = Instant::now();
        moment.wait(&clock).await;
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
