//! The embedded backend: one SQLite file for one process.
//!
//! One thread writes, several connections read beside it (write-ahead log). A change is acknowledged when it is on the
//! disk. `schema` has the tables, `writer` and `readers` the two ways to them, each trait has a file that may hand on to others.

mod accounts;
mod addresses;
mod chats;
mod conversations;
mod failure;
mod file;
mod friends;
mod mail;
mod passwords;
mod people;
mod readers;
mod registrations;
mod room;
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
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

pub use file::OpenError;

use self::file::Lock;
use self::readers::Readers;
use self::room::Room;
use self::writer::{Need, Writer};
use super::changes::Listeners;
use super::{Authenticated, Change, ChangeListener, Store, StoreError, StoreKind};
use crate::domain::SessionKey;

/// A store in an SQLite file.
pub struct SqliteStore {
    writer: Writer,
    room: Arc<Room>,
    readers: Readers,
    operations: AtomicU64,
    listeners: Arc<Listeners>,
    /// Held as long as the store lives, after the writer and the readers are gone.
    _lock: Lock,
}

impl SqliteStore {
    /// Changes that share a commit at most.
    pub const MAX_BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
    /// How long a change or a query may take.
    pub const DEADLINE: Duration = Duration::from_secs(3);

    /// Opens the file `chat.db` in a folder, making both when they are missing, and brings its schema up to date. Waits
    /// a few seconds for a process that is about to release the file. Blocks.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_with(folder, Self::MAX_BATCH, Self::DEADLINE)
    }

    /// The same with another number of changes that may share a commit, to measure what sharing gives, and another deadline, for a
    /// machine that may be slow.
    pub fn open_with(folder: &Path, max_batch: NonZeroUsize, deadline: Duration) -> Result<Self, OpenError> {
        let lock = file::lock(folder)?;
        let path = file::create(folder)?;
        // Before the connections, which need room for the log and what is beside it.
        let room = Arc::new(Room::in_folder(folder));
        let mut connection = schema::connect(&path)?;
        schema::migrate(&mut connection)?;
        let readers = Readers::open(&path, deadline)?;
        let writer = Writer::start(connection, max_batch, deadline, Arc::clone(&room))?;
        Ok(Self { writer, room, readers, operations: AtomicU64::new(0), listeners: Arc::default(), _lock: lock })
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
        self.change(Need::Little, change).await
    }

    /// The same for a change that adds data for good, which is refused first when room runs short.
    async fn add<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<(T, Option<Change>)> + Send + 'static,
    {
        self.change(Need::Room, change).await
    }

    async fn change<T, F>(&self, need: Need, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<(T, Option<Change>)> + Send + 'static,
    {
        self.operations.fetch_add(1, Ordering::Relaxed);
        let listeners = Arc::clone(&self.listeners);
        let tell = move |(_, news): &(T, Option<Change>)| news.iter().for_each(|news| listeners.tell(news));
        self.writer.run_and_tell(need, change, tell).await.map(|(answer, _)| answer)
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Embedded
    }

    async fn check(&self) -> Result<(), StoreError> {
        let room = Arc::clone(&self.room);
        // The indexes are part of the schema, which was checked when the file was opened.
        self.readers
            .run(move |snapshot| {
                room.is_enough();
                snapshot.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |_| Ok(()))
            })
            .await
    }

    fn has_room(&self) -> bool {
        self.room.was_enough()
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
