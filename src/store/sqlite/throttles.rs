//! Shared counters in SQLite: a row for each counted event, and one for each trusted key.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use crate::domain::Timestamp;
use crate::store::{Quota, StoreError, Taking, ThrottleKey, ThrottleStore, Ticket};

/// How long expired rows stay, so that a clock that is set back by no more counts no event out of a window that holds it.
const KEEP_EXPIRED_MILLIS: i64 = 60 * Timestamp::MINUTE_MILLIS;

/// The event that has to be out of the window before another one is counted.
const SELECT_HINDERING: &str = "SELECT at FROM throttle_events WHERE key = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2";
/// An event that lies too far ahead counts as of now, so that it keeps nobody waiting for longer than its window.
const RESTAMP_EVENTS: &str = "UPDATE throttle_events SET at = ?3, expires_at = ?4 WHERE key = ?1 AND at > ?2";
const INSERT_EVENT: &str = "INSERT INTO throttle_events (key, at, expires_at) VALUES (?1, ?2, ?3)";
const DELETE_EVENT: &str = "DELETE FROM throttle_events WHERE id = ?1 AND key = ?2";
const DELETE_EVENTS: &str = "DELETE FROM throttle_events WHERE key = ?1";
const SELECT_TRUST: &str = "SELECT 1 FROM throttle_trust WHERE key = ?1 AND until > ?2";
const UPSERT_TRUST: &str = "
    INSERT INTO throttle_trust (key, until) VALUES (?1, ?2)
    ON CONFLICT (key) DO UPDATE SET until = max(until, excluded.until)";
/// Each counted event takes more rows away than it adds, so that what is left of old keys does not pile up.
const TIDY_EVENTS: &str = "
    DELETE FROM throttle_events WHERE id IN (SELECT id FROM throttle_events WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 16)";
const TIDY_TRUST: &str = "
    DELETE FROM throttle_trust WHERE key IN (SELECT key FROM throttle_trust WHERE until <= ?1 ORDER BY until LIMIT 16)";

#[async_trait]
impl ThrottleStore for SqliteStore {
    async fn take(&self, key: &ThrottleKey, quota: Quota, at: Timestamp) -> Result<Taking, StoreError> {
        let key = *key;
        self.write(move |connection| {
            let is_trusted = connection.prepare_cached(SELECT_TRUST)?.exists(params![key.0, at.as_millis()])?;
            let outcome = match find_wait(connection, key, quota, at)? {
                Some(millis) => Err(millis),
                None => Ok(count(connection, key, quota, at)?),
            };
            Ok(Taking { outcome, is_trusted })
        })
        .await
    }

    async fn give_back(&self, ticket: &Ticket, trusted_until: Option<Timestamp>) -> Result<(), StoreError> {
        let Ticket { key, id } = *ticket;
        self.write(move |connection| {
            connection.prepare_cached(DELETE_EVENT)?.execute(params![id, key.0])?;
            if let Some(until) = trusted_until {
                connection.prepare_cached(UPSERT_TRUST)?.execute(params![key.0, until.as_millis()])?;
            }
            Ok(())
        })
        .await
    }

    async fn clear(&self, key: &ThrottleKey, trusted_until: Timestamp) -> Result<(), StoreError> {
        let key = *key;
        self.write(move |connection| {
            connection.prepare_cached(DELETE_EVENTS)?.execute([key.0])?;
            connection.prepare_cached(UPSERT_TRUST)?.execute(params![key.0, trusted_until.as_millis()])?;
            Ok(())
        })
        .await
    }
}

/// How long an event has to wait for its place; `None` when there is one.
fn find_wait(connection: &Connection, key: ThrottleKey, quota: Quota, at: Timestamp) -> rusqlite::Result<Option<i64>> {
    let (latest, window_end) = (Timestamp::latest_credible(at), at.plus_millis(quota.window_millis));
    let restamped = params![key.0, latest.as_millis(), at.as_millis(), window_end.as_millis()];
    connection.prepare_cached(RESTAMP_EVENTS)?.execute(restamped)?;
    let others = i64::from(quota.count) - 1;
    let hindering =
        connection.prepare_cached(SELECT_HINDERING)?.query_row(params![key.0, others], |row| row.get::<_, i64>(0)).optional()?;
    let wait = hindering.map(|event| event.saturating_add(quota.window_millis).saturating_sub(at.as_millis()));
    Ok(wait.filter(|millis| *millis > 0))
}

fn count(connection: &Connection, key: ThrottleKey, quota: Quota, at: Timestamp) -> rusqlite::Result<Ticket> {
    let long_expired = at.plus_millis(-KEEP_EXPIRED_MILLIS).as_millis();
    connection.prepare_cached(TIDY_EVENTS)?.execute([long_expired])?;
    connection.prepare_cached(TIDY_TRUST)?.execute([long_expired])?;
    let expires_at = at.plus_millis(quota.window_millis).as_millis();
    connection.prepare_cached(INSERT_EVENT)?.execute(params![key.0, at.as_millis(), expires_at])?;
    Ok(Ticket { key, id: connection.last_insert_rowid() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::schema;
    use super::*;

    const QUOTA: Quota = Quota { count: 3, window_millis: 1_000 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn take(connection: &Connection, key: ThrottleKey, quota: Quota, now: i64) -> Result<Ticket, i64> {
        match find_wait(connection, key, quota, at(now)).expect("an answer") {
            Some(millis) => Err(millis),
            None => Ok(count(connection, key, quota, at(now)).expect("counted")),
        }
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM throttle_events", [], |row| row.get(0)).expect("a number")
    }

    #[test]
    fn what_has_expired_does_not_pile_up() {
        let connection = schema::in_memory();
        for number in 0_u8..200 {
            take(&connection, ThrottleKey([number; 32]), QUOTA, 0).expect("counted");
        }
        for number in 200_u8..220 {
            take(&connection, ThrottleKey([number; 32]), QUOTA, 1_000 + KEEP_EXPIRED_MILLIS).expect("counted");
        }
        assert_eq!(rows(&connection), 20, "the old ones are gone, sixteen with each event");
    }

    #[test]
    fn an_event_is_never_taken_for_another_one() {
        let connection = schema::in_memory();
        let key = ThrottleKey([7; 32]);
        let first = take(&connection, key, QUOTA, 0).expect("counted");
        connection.execute(DELETE_EVENT, params![first.id, key.0]).expect("given back");
        assert_ne!(take(&connection, key, QUOTA, 0).expect("counted").id, first.id);
    }

    #[test]
    fn a_lowered_quota_counts_all_events_that_are_there() {
        let connection = schema::in_memory();
        let key = ThrottleKey([7; 32]);
        for now in [0, 100, 200] {
            take(&connection, key, QUOTA, now).expect("counted");
        }
        assert_eq!(take(&connection, key, Quota { count: 1, ..QUOTA }, 500), Err(700));
    }

    #[test]
    fn every_query_walks_an_index() {
        schema::assert_plan(SELECT_HINDERING, &["SEARCH throttle_events USING COVERING INDEX throttle_events_in_order (key=?)"]);
        schema::assert_plan(RESTAMP_EVENTS, &["SEARCH throttle_events USING INDEX throttle_events_in_order (key=? AND at>?)"]);
        schema::assert_plan(DELETE_EVENT, &["SEARCH throttle_events USING INTEGER PRIMARY KEY (rowid=?)"]);
        schema::assert_plan(SELECT_TRUST, &["SEARCH throttle_trust USING PRIMARY KEY (key=?)"]);
        let expired = "SEARCH throttle_events USING COVERING INDEX throttle_events_expired (expires_at<?)";
        schema::assert_plan(TIDY_EVENTS, &["SEARCH throttle_events USING INTEGER PRIMARY KEY (rowid=?)", expired]);
        let expired = "SEARCH throttle_trust USING COVERING INDEX throttle_trust_expired (until<?)";
        schema::assert_plan(TIDY_TRUST, &["SEARCH throttle_trust USING PRIMARY KEY (key=?)", expired]);
    }

    proptest! {
        /// Also when the clock is set back now and then: whatever the order, no window holds more than the quota.
        #[test]
        fn no_window_ever_holds_more_than_the_quota_and_waiting_as_told_succeeds(
            count in 1_u32..6,
            steps in proptest::collection::vec((-50_i64..300, any::<bool>()), 1..400),
        ) {
            let connection = schema::in_memory();
            let (key, quota) = (ThrottleKey([7; 32]), Quota { count, window_millis: 1_000 });
            let (mut now, mut counted) = (0, Vec::<i64>::new());
            for (step, waits) in steps {
                now += step;
                match take(&connection, key, quota, now) {
                    Ok(_) => counted.push(now),
                    Err(millis) if waits => {
                        prop_assert!(take(&connection, key, quota, now + millis - 1).is_err(), "told to wait longer than needed");
                        now += millis;
                        prop_assert!(take(&connection, key, quota, now).is_ok(), "told to wait less than needed");
                        counted.push(now);
                    }
                    Err(millis) => prop_assert!(millis > 0),
                }
            }
            for end in &counted {
                let within = counted.iter().filter(|event| (end - quota.window_millis + 1..=*end).contains(*event)).count();
                prop_assert!(within <= count as usize, "{within} events within a window");
            }
        }
    }
}
