//! The way to the server: bounded, with a deadline on every operation. [`upkeep`] establishes it in the background.
//!
//! The driver may not be left half-way through an operation: each runs in a task of its own that holds its permit to
//! the end, and only the wait for it has a deadline.

mod upkeep;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mongodb::Database;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use super::clock::ServerClock;
use super::failure::{classify_read, classify_write};
use super::filling::Filling;
use super::standing::Standing;
use crate::store::StoreError;
pub(super) use upkeep::keep;

/// Connections to each server for operations, and operations at once: the driver has no limit of its own on waiting for one.
const POOL: u32 = 32;
/// Operations at once that change something: the rest stays for reads, so that changes that are stuck do not stop them.
const WRITES: u32 = 24;
/// How long an operation may wait for its turn, and for its answer.
const WAIT: Duration = Duration::from_secs(1);
pub(super) const DEADLINE: Duration = Duration::from_secs(3);
/// How long a closing store waits for operations under way.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How long it waits for its connections to end then.
const END_WAIT: Duration = Duration::from_millis(500);

/// What all clones of a store share.
pub(super) struct Connection {
    /// How long an operation may take.
    pub(super) deadline: Duration,
    database: OnceLock<Database>,
    /// Whether all indexes are in place. Without them nothing is served.
    ready: AtomicBool,
    /// Why the database cannot be used, as far as that is known.
    obstacle: Mutex<String>,
    standing: Arc<Standing>,
    /// Held by the look at the indexes that is under way.
    looking: Arc<AsyncMutex<()>>,
    permits: Arc<Semaphore>,
    /// What a change needs besides.
    write_permits: Arc<Semaphore>,
    pub(super) operations: AtomicU64,
    filling: Arc<Filling>,
    /// Measured before anything is served, and again with every look at the indexes.
    pub(super) clock: ServerClock,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            deadline: DEADLINE,
            database: OnceLock::new(),
            ready: AtomicBool::new(false),
            obstacle: Mutex::new("it was not reached yet".to_owned()),
            standing: Arc::default(),
            looking: Arc::default(),
            permits: Arc::new(Semaphore::new(POOL as usize)),
            write_permits: Arc::new(Semaphore::new(WRITES as usize)),
            operations: AtomicU64::new(0),
            filling: Arc::default(),
            clock: ServerClock::default(),
        }
    }
}

impl Connection {
    pub(super) fn within(deadline: Duration) -> Self {
        Self { deadline, ..Self::default() }
    }

    /// Runs an operation that changes nothing.
    pub(super) async fn read<T, F>(&self, operation: impl FnOnce(Database) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let turn = acquire(&self.permits).await?;
        self.run(operation, turn, classify_read, StoreError::unavailable).await
    }

    /// Runs an operation that changes something, whose outcome is unknown when its answer is lost or late.
    pub(super) async fn write<T, F>(&self, operation: impl FnOnce(Database) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let turn = (acquire(&self.write_permits).await?, acquire(&self.permits).await?);
        let changed = self.run(operation, turn, classify_write, StoreError::outcome_unknown).await;
        if let Err(StoreError::Full(cause)) = &changed {
            self.standing.note_full(cause.as_ref());
        }
        changed
    }

    /// Runs a read of the upkeep: it takes no place among the operations and is not counted.
    pub(super) async fn look<T, F>(&self, operation: impl FnOnce(Database) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let task = tokio::spawn(operation(self.ready_database()?));
        let looked = tokio::time::timeout(DEADLINE, task).await.map_err(StoreError::unavailable)?;
        looked.map_err(StoreError::broken)?.map_err(classify_read)
    }

    /// Runs an operation in its turn, which ends with it.
    async fn run<T, F>(
        &self,
        operation: impl FnOnce(Database) -> F,
        turn: impl Send + 'static,
        classify: fn(mongodb::error::Error) -> StoreError,
        late: fn(tokio::time::error::Elapsed) -> StoreError,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let database = self.ready_database()?;
        self.operations.fetch_add(1, Ordering::Relaxed);
        let operation = operation(database);
        let task = tokio::spawn(async move {
            let result = operation.await;
            drop(turn);
            result
        });
        match tokio::time::timeout(self.deadline, task).await {
            Ok(Ok(result)) => result.map_err(classify),
            Ok(Err(panic)) => Err(StoreError::broken(panic)),
            Err(elapsed) => Err(late(elapsed)),
        }
    }

    /// The database, once it was reached and has all indexes.
    pub(super) fn ready_database(&self) -> Result<Database, StoreError> {
        match self.database.get() {
            Some(database) if self.ready.load(Ordering::Acquire) => Ok(database.clone()),
            _ => Err(self.unusable()),
        }
    }

    fn unusable(&self) -> StoreError {
        let obstacle = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        StoreError::unavailable(format!("the database cannot be used yet: {obstacle}"))
    }

    pub(super) fn has_room(&self) -> bool {
        self.standing.has_room()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    /// Waits for the operations under way and ends the connections.
    pub(super) async fn close(&self) {
        let _all_ended = tokio::time::timeout(CLOSE_WAIT, self.permits.acquire_many(POOL)).await;
        self.permits.close();
        if let Some(database) = self.database.get() {
            // A change stream has the server wait for changes, and the driver waits for its answer; nobody else does.
            let _ended = tokio::time::timeout(END_WAIT, database.client().clone().shutdown().immediate(true)).await;
        }
    }
}

async fn acquire(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, StoreError> {
    let permit = tokio::time::timeout(WAIT, Arc::clone(permits).acquire_owned()).await;
    permit.map_err(|_late| StoreError::Overloaded)?.map_err(StoreError::unavailable)
}
