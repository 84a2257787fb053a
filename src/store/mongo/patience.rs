//! How long a write that was refused is tried again: until it is made, or until what refuses it shows.
//!
//! What refuses a write need not be what a read finds a moment later: another writer may have taken it away, or the majority
//! may not have it yet. A read that finds it is an answer; one that does not is a reason to try the write again.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::DEADLINE;
use crate::store::StoreError;

/// The pause after a read that does not show what refused the write; each further one in a row is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The time that one change has for its attempts.
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn begin() -> Self {
        Self { until: Instant::now() + DEADLINE, pause: FIRST_PAUSE }
    }

    /// Returns when the write is to be tried again: at once if the read has shown a state in which it may be made.
    /// Nothing was changed when the time is over.
    pub(super) async fn try_again(&mut self, has_seen_why: bool) -> Result<(), StoreError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(StoreError::Overloaded);
        }
        if has_seen_why {
            self.pause = FIRST_PAUSE;
        } else {
            tokio::time::sleep(self.pause.min(left)).await;
            self.pause *= 2;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_from_10_ms_and_end_with_the_deadline() {
        let (begun, mut patience, mut pauses) = (Instant::now(), Patience::begin(), Vec::new());
        patience.try_again(true).await.expect("at once");
        assert!(begun.elapsed().is_zero());
        let refused = loop {
            let before = Instant::now();
            match patience.try_again(false).await {
                Ok(()) => pauses.push(before.elapsed().as_millis()),
                Err(refused) => break refused,
            }
        };
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1_280, 450]);
        assert!(matches!(refused, StoreError::Overloaded) && begun.elapsed() == DEADLINE);
    }
}
