//! Hears of the changes that other processes make.
//!
//! Where the database tells changes by itself, one stream (`change_stream`) brings them to the whole process. Where it does not,
//! and as long as the stream is not to be relied on, one query (`change_query`) looks for them while somebody waits. So what it
//! costs does not grow with the number of those who wait.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use mongodb::Database;
use tokio::time::sleep;

use super::change_query::ChangeQuery;
use super::change_stream::{ChangeStream, SILENCE, Standing};
use super::connection::Connection;
use crate::domain::{Clock, Timestamp};
use crate::store::changes::Listeners;

/// How often to see to the stream, and to look for changes.
const TICK: Duration = Duration::from_millis(400);
/// Pauses after panics, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Tells the listeners of changes until the store is closed; after a panic again, from where it had got to.
pub(super) async fn keep(connection: Arc<Connection>, listeners: Arc<Listeners>) {
    let mut watcher = Watcher::new(connection, listeners);
    let mut pause = FIRST_PAUSE;
    let mut begun = Instant::now();
    while AssertUnwindSafe(watcher.watch()).catch_unwind().await.is_err() {
        if begun.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        log::error!(event = "watcher_restarted"; "looking for changes panicked, which is a defect; it goes on after a pause");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        begun = Instant::now();
    }
}

struct Watcher {
    connection: Arc<Connection>,
    listeners: Arc<Listeners>,
    clock: Clock,
    stream: ChangeStream,
    query: ChangeQuery,
}

impl Watcher {
    fn new(connection: Arc<Connection>, listeners: Arc<Listeners>) -> Self {
        let clock = Clock::default();
        let query = ChangeQuery::new(connection.clock.correct(clock.now()));
        Self { connection, listeners, clock, stream: ChangeStream::default(), query }
    }

    async fn watch(&mut self) {
        while !self.connection.is_closed() {
            if let Ok(database) = self.connection.ready_database() {
                self.look(&database).await;
            }
            sleep(TICK).await;
        }
    }

    async fn look(&mut self, database: &Database) {
        let standing = self.stream.tend(database, &self.listeners).await;
        let now = self.connection.clock.correct(self.clock.now());
        if !self.listeners.is_anybody_waiting() {
            self.query.skip(now);
        } else if standing == Standing::Steady {
            // A stream that falls silent has told what was changed before.
            self.query.close_gap(&self.connection, &self.listeners, earlier(now, SILENCE), now).await;
        } else {
            self.query.look(&self.connection, &self.listeners, now).await;
        }
    }
}

fn earlier(instant: Timestamp, by: Duration) -> Timestamp {
    instant.plus_millis(-i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}
