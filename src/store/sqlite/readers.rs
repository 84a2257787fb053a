//! The reading side: a few connections that read beside the writer, on the blocking pool.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{OpenError, execute, failure, schema};
use crate::store::StoreError;

/// Reading connections; more would wait for the processor, not for the disk.
const CONNECTIONS: u32 = 4;
/// How long a query may wait for a connection.
const WAIT: Duration = Duration::from_secs(1);

/// A pool of reading connections.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    /// How long a query may take.
    deadline: Duration,
}

impl Readers {
    pub(super) fn open(path: &Path, deadline: Duration) -> Result<Self, OpenError> {
        let idle = (0..CONNECTIONS).map(|_| schema::connect_to_read(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { permits: Arc::new(Semaphore::new(idle.len())), idle: Arc::new(Mutex::new(idle)), deadline })
    }

    /// Runs a query on one snapshot.
    pub(super) async fn run<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let mut lease = self.lease().await?;
        let task = tokio::task::spawn_blocking(move || lease.run(query));
        match tokio::time::timeout(self.deadline, task).await {
            Ok(Ok(result)) => result.map_err(failure::of_statement),
            Ok(Err(panic)) => Err(StoreError::broken(panic)),
            Err(late) => Err(StoreError::unavailable(late)),
        }
    }

    async fn lease(&self) -> Result<Lease, StoreError> {
        let permit = tokio::time::timeout(WAIT, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_late| StoreError::Overloaded)?
            .map_err(StoreError::unavailable)?;
        let connection = lock(&self.idle).pop();
        Ok(Lease { connection, idle: Arc::clone(&self.idle), _permit: permit })
    }

    /// Waits for the queries under way and closes the connections.
    pub(super) async fn close(&self) {
        let _all = self.permits.acquire_many(CONNECTIONS).await;
        self.permits.close();
        lock(&self.idle).clear();
    }
}

/// A connection on loan; it goes back when the loan ends, also by a panic.
struct Lease {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    fn run<T>(&mut self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        // There is a connection for each permit.
        let connection = self.connection.as_ref().ok_or(rusqlite::Error::InvalidQuery)?;
        execute(connection, "BEGIN")?;
        query(connection)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !connection.is_autocommit() {
            // If the snapshot cannot be ended, the next query fails to begin one, and sees nothing that is out of date.
            drop(execute(&connection, "ROLLBACK"));
        }
        lock(&self.idle).push(connection);
    }
}

/// A panic elsewhere leaves the list of connections whole.
fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
