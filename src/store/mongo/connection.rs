//! The way to the server: established in the background, bounded, with a deadline on every operation.
//!
//! The driver may not be left half-way through an operation: each runs in a task of its own that holds its permit to
//! the end, and only the wait for it has a deadline.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, HostInfo, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database};
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use super::clock::{self, ServerClock};
use super::failure::{classify_read, classify_write};
use super::filling::Filling;
use super::standing::Standing;
use super::{addresses, deletion, documents, indexes, probe};
use crate::domain::Clock;
use crate::logging;
use crate::store::StoreError;

/// The database when the connection string names none.
const DEFAULT_DATABASE: &str = "chat";
/// Connections to each server for operations, and operations at once: the driver has no limit of its own on waiting for one.
const POOL: u32 = 32;
/// Operations at once that change something: the rest stays for reads, so that changes that are stuck do not stop them.
const WRITES: u32 = 24;
/// Connections beyond them for the upkeep: the change stream and its successor, the look for changes, and that at the indexes.
const UPKEEP_POOL: u32 = 4;
/// How long an operation may wait for its turn, and for its answer.
const WAIT: Duration = Duration::from_secs(1);
pub(super) const DEADLINE: Duration = Duration::from_secs(3);
/// Shorter than the deadline, so that "no server" is told as such.
const SELECTION: Duration = Duration::from_millis(2_500);
/// How long the majority may take to acknowledge a write.
const MAJORITY_WAIT: Duration = Duration::from_secs(5);
/// Pauses between attempts to establish the connection, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often the indexes are looked after while all is well: one may be dropped, or the database with them.
const WATCH_INTERVAL: Duration = Duration::from_secs(15);
/// Why nothing is served for half a minute when an older version has used the database.
const OLDER_RECORDS: &str = "records of an older version are taken over once its processes have stopped serving, within half a minute";
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

    /// Notes why the database cannot be used; whether that is something new.
    fn note_obstacle(&self, obstacle: String) -> bool {
        let mut noted = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *noted != obstacle;
        *noted = obstacle;
        is_new
    }

    /// Asks the server for its time and for every index, which also makes those that were dropped. What cannot be made
    /// stops the service of the store: a rule that no index holds is broken sooner or later.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let database = self.database.get().ok_or_else(|| self.unusable())?;
        // One at a time, for an index may take long to build, and each that asks for it keeps a connection waiting.
        let turn = tokio::time::timeout(DEADLINE, Arc::clone(&self.looking).lock_owned()).await.map_err(StoreError::unavailable)?;
        let looking = look_after(database.clone(), Arc::clone(&self.standing), Arc::clone(&self.filling));
        let checked = tokio::spawn(async move {
            let checked = looking.await;
            drop(turn);
            checked
        });
        let checked = checked.await.map_err(StoreError::broken)?;
        if let Ok(Some(clock_offset)) = checked {
            self.clock.note(clock_offset);
        }
        // That nobody answered, or the server had no room, says nothing about the indexes.
        let is_unknown = matches!(checked, Err(StoreError::Unavailable(_) | StoreError::Overloaded));
        self.note_readiness(matches!(checked, Ok(Some(_))) || is_unknown && self.is_ready());
        checked?.map(drop).ok_or_else(|| StoreError::unavailable(OLDER_RECORDS))
    }

    /// Finishes what deletions of accounts have left over; what fails is done in the next round.
    async fn finish_deletions(&self) {
        let Some(database) = self.database.get() else { return };
        let finishing = tokio::spawn(deletion::finish_deletions(database.clone()));
        let finished = finishing.await.map_err(StoreError::broken).and_then(|result| result.map_err(classify_read));
        if let Err(error) = finished
            && !self.is_closed()
        {
            log::warn!(event = "account_still_listed", error = logging::causes(&error); "a deleted account is still on lists of friends");
        }
    }

    /// Frees the addresses whose time as a way back is over. Whoever meets one does it too.
    async fn forget_ended_ways_back(&self) {
        let Some(database) = self.database.get() else { return };
        let now = documents::date(self.clock.correct(Clock::default().now()));
        let users = database.collection::<Document>(documents::USERS);
        let ended = doc! { "recoveryUntil": { "$lte": now } };
        let forgotten = tokio::spawn(async move { users.update_many(ended, addresses::without_recovery()).await }).await;
        if let Ok(Err(error)) = forgotten
            && !self.is_closed()
        {
            log::warn!(event = "recovery_not_forgotten", error = logging::causes(&error); "addresses whose time is over are still taken");
        }
    }

    /// Whether the server was reached and records of an older version wait to be taken over.
    fn is_waiting(&self) -> bool {
        self.filling.is_waiting()
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn note_readiness(&self, ready: bool) {
        let before = self.ready.swap(ready, Ordering::AcqRel);
        match (before, ready) {
            (false, true) => log::info!(event = "store_ready"; "the database is there and has every index"),
            (true, false) => log::error!(event = "store_not_ready"; "the database lacks an index that cannot be made; nothing is served"),
            _ => {}
        }
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

/// Makes the indexes and gives the offset of the server's clock, `None` as long as records of an older version wait to be filled; beside
/// that tries whether the server has all that is used, until it has, and again after it had no room.
async fn look_after(database: Database, standing: Arc<Standing>, filling: Arc<Filling>) -> Result<Option<i64>, StoreError> {
    let looking = async {
        indexes::ensure(&database).await.map_err(classify_read)?;
        if !filling.make(&database).await.map_err(classify_read)? {
            return Ok(None);
        }
        clock::measure_offset(&database).await.map(Some).map_err(classify_read)
    };
    if standing.is_tried() {
        return looking.await;
    }
    let (tried, looked) = futures_util::join!(probe::run(database.clone()), looking);
    match tried {
        Ok(()) => standing.note_tried(),
        Err(StoreError::Full(cause)) => standing.note_full(cause.as_ref()),
        // Reads go on, whatever keeps the server from showing that it has room again.
        Err(_) if !standing.has_room() => {}
        Err(error) => return Err(error),
    }
    looked
}

/// Connects and makes the indexes, as often as it takes, and looks after them until the store is closed.
pub(super) async fn keep(connection: Arc<Connection>, uri: String, observer: Option<EventHandler<CommandEvent>>) {
    let mut pause = FIRST_PAUSE;
    while !connection.is_closed() {
        match attempt(&connection, &uri, observer.clone()).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                tokio::time::sleep(WATCH_INTERVAL).await;
            }
            Err(error) => {
                // What was logged already is logged again only after all was well.
                let is_new = connection.note_obstacle(innermost(&error)) || pause == FIRST_PAUSE;
                if is_new && connection.is_waiting() {
                    log::info!(event = "store_waits"; "{OLDER_RECORDS}");
                } else if is_new {
                    let hosts = hosts(&uri);
                    log::warn!(event = "store_unreachable", error = innermost(&error); "the database at {hosts} cannot be used; trying on");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// What an error comes from in the end.
fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

/// The hosts of a connection string, which may be told while the rest of it may not.
fn hosts(uri: &str) -> String {
    match ConnectionString::parse(uri).map(|parsed| parsed.host_info) {
        Ok(HostInfo::HostIdentifiers(addresses)) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Ok(HostInfo::DnsRecord(name)) => name,
        _ => String::new(),
    }
}

async fn attempt(connection: &Connection, uri: &str, observer: Option<EventHandler<CommandEvent>>) -> Result<(), StoreError> {
    if connection.database.get().is_none() {
        let database = open(uri, observer).await.map_err(classify_read)?;
        // Nobody else sets it.
        let _first = connection.database.set(database);
    }
    connection.check().await?;
    connection.finish_deletions().await;
    connection.forget_ended_ways_back().await;
    Ok(())
}

async fn open(uri: &str, observer: Option<EventHandler<CommandEvent>>) -> mongodb::error::Result<Database> {
    let mut options = ClientOptions::parse(uri).await?;
    options.app_name.get_or_insert_with(|| "chat-functions".to_owned());
    options.connect_timeout = Some(DEADLINE);
    options.server_selection_timeout = Some(SELECTION);
    options.max_pool_size = Some(POOL + UPKEEP_POOL);
    options.command_event_handler = observer;
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    // What decides over rights must not be rolled back after it was seen or acknowledged.
    options.read_concern = Some(ReadConcern::majority());
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(MAJORITY_WAIT).build());
    let client = Client::with_options(options)?;
    Ok(client.default_database().unwrap_or_else(|| client.database(DEFAULT_DATABASE)))
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn of_a_connection_string_only_the_hosts_are_told() {
        assert_eq!(hosts("mongodb://ann:secret@one.example:27018,two.example/chat?w=1"), "one.example:27018, two.example:27017");
        assert_eq!(hosts("mongodb+srv://ann:secret@cluster.example/chat"), "cluster.example");
    }
}
