//! The server's clock: how far it is from this process's, so that what several instances count ends by one clock.

use std::sync::atomic::{AtomicI64, Ordering};

use mongodb::Database;
use mongodb::bson::{DateTime, doc};
use serde::Deserialize;

use super::computed;
use super::documents::time;
use crate::domain::{Clock, Timestamp};
use crate::store::NewMail;

/// How much later it is at the server than here, in milliseconds.
#[derive(Default)]
pub(super) struct ServerClock(AtomicI64);

/// The part of the answer to `hello` that tells the time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    #[serde(deserialize_with = "computed::instant")]
    local_time: DateTime,
}

impl ServerClock {
    /// An instant of this process's clock by the server's.
    pub(super) fn correct(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.0.load(Ordering::Relaxed))
    }

    /// An instant of the server's clock by this process's.
    pub(super) fn local(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(-self.0.load(Ordering::Relaxed))
    }

    /// An order for mail by the server's clock, by which all processes find it due.
    pub(super) fn order(&self, mail: &NewMail) -> NewMail {
        NewMail { at: self.correct(mail.at), ..mail.clone() }
    }

    pub(super) fn note(&self, offset_millis: i64) {
        self.0.store(offset_millis, Ordering::Relaxed);
    }
}

/// Asks the server for its time. Every server of the protocol answers `hello`, and to everybody.
pub(super) async fn measure_offset(database: &Database) -> mongodb::error::Result<i64> {
    let clock = Clock::default();
    let asked = clock.now();
    let answer = database.run_command(doc! { "hello": 1 }).await?;
    let answered = clock.now();
    let hello: Hello = mongodb::bson::deserialize_from_document(answer)?;
    Ok(offset_millis(asked, time(hello.local_time), answered))
}

/// The smallest offset that explains what the server told between question and answer. So clocks that agree are left
/// alone however long the answer took, and a measured offset is wrong by that long at most.
fn offset_millis(asked: Timestamp, told: Timestamp, answered: Timestamp) -> i64 {
    let nearest = told.clamp(asked, answered.max(asked));
    told.as_millis().saturating_sub(nearest.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(asked: i64, told: i64, answered: i64) -> i64 {
        offset_millis(Timestamp::from_millis(asked), Timestamp::from_millis(told), Timestamp::from_millis(answered))
    }

    #[test]
    fn a_server_that_tells_a_time_between_question_and_answer_has_the_same_clock() {
        for told in [1_000, 1_001, 1_040] {
            assert_eq!(offset(1_000, told, 1_040), 0);
        }
    }

    #[test]
    fn a_clock_ahead_or_behind_is_corrected_by_what_cannot_be_the_way() {
        assert_eq!(offset(1_000, 301_040, 1_040), 300_000);
        assert_eq!(offset(301_000, 1_000, 301_040), -300_000);
        let clock = ServerClock::default();
        clock.note(-300_000);
        let (ours, theirs) = (Timestamp::from_millis(301_000), Timestamp::from_millis(1_000));
        assert_eq!((clock.correct(ours), clock.local(theirs)), (theirs, ours));
    }

    #[test]
    fn a_clock_set_back_between_question_and_answer_does_no_harm() {
        assert_eq!(offset(5_000, 5_000, 1_000), 0);
    }
}
