//! The shared query for changes, where the database does not tell them by itself: one for all who wait.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Binary, DateTime, RawDocument, RawDocumentBuf, doc};

use super::connection::{Connection, DEADLINE};
use super::documents::{ACCESS_CHANGED_AT, CHANGED_AT, CHATS, USERS, date};
use super::progress::{access_change, chat_change};
use crate::domain::Timestamp;
use crate::logging;
use crate::store::changes::Listeners;
use crate::store::{Change, StoreError};

/// How far before the last look each looks back: a change shows some time after the instant that it is marked with, when the
/// majority has it, and clocks of servers differ a little.
const REACH_MILLIS: i64 = 3_000;
/// Documents that the server gives at once.
const PAGE: u32 = 1_000;

/// What is looked for, and how often.
struct Subject {
    collection: &'static str,
    /// The marker.
    field: &'static str,
    every: Duration,
    change: fn(&Binary, &RawDocument) -> Option<Change>,
}

/// Messages and read marks: whoever waits for one should have it within half a second.
static CHATS_CHANGED: Subject = Subject { collection: CHATS, field: CHANGED_AT, every: Duration::from_millis(400), change: chat_change };
/// What ends a wait early.
static ACCESS_CHANGED: Subject =
    Subject { collection: USERS, field: ACCESS_CHANGED_AT, every: Duration::from_secs(2), change: |key, _| access_change(key) };

/// Looks for the changes of one collection.
struct Search {
    subject: &'static Subject,
    due: Instant,
    /// Up to when changes are known, by the server's clock.
    covered: Timestamp,
    /// The marker's value of what was told and would be found again, by the document's key.
    told: HashMap<Vec<u8>, DateTime>,
    /// Whether there was no stream since the last [`skip`](Self::skip), so that what is found nobody else tells.
    is_needed: bool,
    is_failing: bool,
}

/// A document that was changed.
struct Changed {
    key: Vec<u8>,
    at: DateTime,
    change: Change,
}

/// The searches of both collections.
pub(super) struct ChangeQuery([Search; 2]);

impl ChangeQuery {
    /// Nothing before `now` is looked for.
    pub(super) fn new(now: Timestamp) -> Self {
        let search =
            |subject| Search { subject, due: Instant::now(), covered: now, told: HashMap::new(), is_needed: false, is_failing: false };
        Self([search(&CHATS_CHANGED), search(&ACCESS_CHANGED)])
    }

    /// Notes that nobody needs to be told of changes before that instant.
    pub(super) fn skip(&mut self, until: Timestamp) {
        for search in &mut self.0 {
            search.skip(until);
        }
    }

    /// Looks for what is due and tells it. What fails is made up for by the next look.
    pub(super) async fn look(&mut self, connection: &Connection, listeners: &Listeners, now: Timestamp) {
        for search in self.0.iter_mut().filter(|search| search.due <= Instant::now()) {
            search.look(connection, listeners, now).await;
        }
    }

    /// Looks once more after a stream was opened that tells everything since `streamed`, for what was changed before.
    pub(super) async fn close_gap(&mut self, connection: &Connection, listeners: &Listeners, streamed: Timestamp, now: Timestamp) {
        for search in &mut self.0 {
            if !search.is_needed || search.look(connection, listeners, now).await {
                search.skip(streamed);
            }
        }
    }
}

impl Search {
    fn skip(&mut self, until: Timestamp) {
        self.covered = until;
        self.told.clear();
        self.is_needed = false;
    }

    /// Whether the look succeeded. Of failures in a row the first is logged.
    async fn look(&mut self, connection: &Connection, listeners: &Listeners, now: Timestamp) -> bool {
        self.due = Instant::now() + self.subject.every;
        self.is_needed = true;
        let looked = self.find(connection, listeners, now).await;
        if let Err(error) = &looked
            && !self.is_failing
            && !connection.is_closed()
        {
            log::warn!(event = "changes_unknown", error = logging::causes(error); "changes cannot be looked for; trying on");
        }
        self.is_failing = looked.is_err();
        looked.is_ok()
    }

    async fn find(&mut self, connection: &Connection, listeners: &Listeners, now: Timestamp) -> Result<(), StoreError> {
        let (subject, since) = (self.subject, date(self.covered.min(now).plus_millis(-REACH_MILLIS)));
        let found = connection.look(|database| find_changed(database, subject, since)).await?;
        self.told.retain(|_, at| *at >= since);
        for Changed { key, at, change } in found {
            if self.told.get(&key) != Some(&at) {
                listeners.tell(&change);
                self.told.insert(key, at);
            }
        }
        self.covered = now;
        Ok(())
    }
}

/// What was marked as changed at that instant or later.
async fn find_changed(database: Database, subject: &'static Subject, since: DateTime) -> mongodb::error::Result<Vec<Changed>> {
    let documents = database.collection::<RawDocumentBuf>(subject.collection);
    let find = documents.find(doc! { subject.field: { "$gte": since } }).sort(doc! { subject.field: 1 });
    let projection = doc! { subject.field: 1, "lastMessage.seq": 1, "readSeq": 1 };
    let found = find.projection(projection).batch_size(PAGE).max_time(DEADLINE).await?;
    found.try_filter_map(|document| std::future::ready(Ok(subject.read(&document)))).try_collect().await
}

impl Subject {
    /// What a document tells; `None` when it does not decode.
    fn read(&self, document: &RawDocument) -> Option<Changed> {
        let (key, at) = (document.get_binary("_id").ok()?, document.get_datetime(self.field).ok()?);
        let key = Binary { subtype: key.subtype, bytes: key.bytes.to_vec() };
        let change = (self.change)(&key, document)?;
        Some(Changed { key: key.bytes, at, change })
    }
}
