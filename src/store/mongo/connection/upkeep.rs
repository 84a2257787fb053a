//! How the way to the server is established, as often as it takes, and looked after from then on: the indexes, the server's clock,
//! whether it has all that is used, and what had its time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, HostInfo, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database};

use super::super::failure::classify_read;
use super::super::filling::Filling;
use super::super::standing::Standing;
use super::super::{addresses, clock, deletion, documents, indexes, probe};
use super::{Connection, DEADLINE, POOL};
use crate::domain::{Clock, RECOVERY_GRACE_MILLIS};
use crate::logging;
use crate::store::StoreError;

/// The database when the connection string names none.
const DEFAULT_DATABASE: &str = "chat";
/// Connections beyond them for the upkeep: the change stream and its successor, the look for changes, and that at the indexes.
const UPKEEP_POOL: u32 = 4;
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

/// Connects and makes the indexes, as often as it takes, and looks after them until the store is closed.
pub(in super::super) async fn keep(connection: Arc<Connection>, uri: String, observer: Option<EventHandler<CommandEvent>>) {
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

impl Connection {
    /// Asks the server for its time and for every index, which also makes those that were dropped. What cannot be made
    /// stops the service of the store: a rule that no index holds is broken sooner or later.
    pub(in super::super) async fn check(&self) -> Result<(), StoreError> {
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

    /// Frees the addresses whose time as a way back has long been over. Whoever wants one does it at once.
    async fn forget_ended_ways_back(&self) {
        let Some(database) = self.database.get() else { return };
        let now = self.clock.correct(Clock::default().now());
        let users = database.collection::<Document>(documents::USERS);
        let ended = doc! { "recoveryUntil": { "$lte": documents::date(now.plus_millis(-RECOVERY_GRACE_MILLIS)) } };
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

    /// Notes why the database cannot be used; whether that is something new.
    fn note_obstacle(&self, obstacle: String) -> bool {
        let mut noted = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *noted != obstacle;
        *noted = obstacle;
        is_new
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

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn of_a_connection_string_only_the_hosts_are_told() {
        assert_eq!(hosts("mongodb://ann:secret@one.example:27018,two.example/chat?w=1"), "one.example:27018, two.example:27017");
        assert_eq!(hosts("mongodb+srv://ann:secret@cluster.example/chat"), "cluster.example");
    }
}
