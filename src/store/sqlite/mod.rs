//! The embedded backend: one SQLite file for one process.
//!
//! One thread writes, several connections read beside it (write-ahead log). A change is acknowledged when it is on the
//! disk. `schema` has the tables, `writer` and `readers` the two ways to them, each trait has a file that may hand on to others.

mod accounts;
mod chats;
mod conversations;
mod file;
mod friends;
mod mail;
mod passwords;
mod people;
mod readers;
mod registrations;
mod rows;
mod schema;
mod sessions;
mod throttles;
mod users;
mod writer;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use rusqlite::Connection;

pub use file::OpenError;

use self::file::Lock;
use self::readers::Readers;
use self::writer::Writer;
use super::changes::Listeners;
use super::{Authenticated, Change, ChangeListener, Store, StoreError, StoreKind};
use crate::domain::SessionKey;

/// A store in an SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    operations: AtomicU64,
    listeners: Arc<Listeners>,
    /// Held as long as the store lives, after the writer and the readers are gone.
    _lock: Lock,
}

impl SqliteStore {
    /// Changes that share a commit at most.
    pub const MAX_BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

    /// Opens the file `chat.db` in a folder, making both when they are missing, and brings its schema up to date. Waits
    /// a few seconds for a process that is about to release the file. Blocks.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_with(folder, Self::MAX_BATCH)
    }

    /// The same with another number of changes that may share a commit, to measure what sharing gives.
    pub fn open_with(folder: &Path, max_batch: NonZeroUsize) -> Result<Self, OpenError> {
        let lock = file::lock(folder)?;
        let path = file::create(folder)?;
        let mut connection = schema::connect(&path)?;
        schema::migrate(&mut connection)?;
        let readers = Readers::open(&path)?;
        let writer = Writer::start(connection, max_batch)?;
        Ok(Self { writer, readers, operations: AtomicU64::new(0), listeners: Arc::default(), _lock: lock })
    }

    /// Runs a query on a snapshot that holds every acknowledged change.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.readers.run(query).await
    }

    /// Runs a query for somebody whose session exists; `None` when it does not.
    async fn read_as<T, F>(&self, key: &SessionKey, query: F) -> Result<Option<Authenticated<T>>, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let key = *key;
        self.read(move |snapshot| {
            let Some(session) = sessions::select(snapshot, &key)? else { return Ok(None) };
            Ok(Some(Authenticated { session, record: query(snapshot)? }))
        })
        .await
    }

    /// Runs a change as one atomic step and returns when it is on the disk.
    async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.writer.run(change).await
    }

    /// The same for a change that listeners are told of, unless it turns out that there is none.
    async fn write_and_tell<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<(T, Option<Change>)> + Send + 'static,
    {
        self.operations.fetch_add(1, Ordering::Relaxed);
        let listeners = Arc::clone(&self.listeners);
        let tell = move |(_, news): &(T, Option<Change>)| news.iter().for_each(|news| listeners.tell(news));
        self.writer.run_and_tell(change, tell).await.map(|(answer, _)| answer)
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Embedded
    }

    async fn check(&self) -> Result<(), StoreError> {
        // The indexes are part of the schema, which was checked when the file was opened.
        self.readers.run(|snapshot| snapshot.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        self.listeners.add(listener);
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Runs a statement that stays prepared.
fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// What a failed statement means to the caller. Whoever sees it knows that nothing was changed.
fn store_error(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
    match error.sqlite_error_code() {
        Some(DiskFull) => StoreError::Full(error.into()),
        Some(DatabaseBusy | DatabaseLocked) => StoreError::unavailable(error),
        _ => StoreError::broken(error),
    }
}
