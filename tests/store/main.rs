//! The contract of the store's traits, proved on every backend.
//!
//! Black box: the tests see nothing but the traits. They share a store and use people of their own. Where a race is
//! run, its two halves go through two instances where the backend allows that, as two processes would.

#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc, missing_docs, reason = "tests fail by panicking")]

mod account_races;
mod accounts;
mod addresses;
mod blocks;
mod budget;
mod changes;
mod chats;
mod clocks;
mod conversations;
mod deletion;
mod friends;
mod mail;
mod mongodb_clock;
mod mongodb_elections;
mod mongodb_examined;
mod mongodb_older;
mod mongodb_only;
mod mongodb_plans;
mod mongodb_probe;
mod mongodb_summaries;
mod mongodb_undecodable;
mod mongodb_watcher;
mod passwords;
mod people;
mod races;
mod read_marks;
mod registrations;
mod search;
mod sessions;
mod sqlite_only;
#[path = "../support/mod.rs"]
mod support;
mod throttles;
mod users;
mod wire_proxy;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::store::Store;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use support::harness::{self, Test, Way};
use support::mongodb::TestDatabase;

/// How long what the contract asks for may take, so that no machine is too slow for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The store under test.
pub struct Context {
    pub store: Arc<dyn Store>,
    /// A second instance on the same data, or the same one where only one may be.
    pub other: Arc<dyn Store>,
    place: Place,
}

enum Place {
    Folder(#[expect(dead_code, reason = "removed when it is dropped")] tempfile::TempDir),
    Database(TestDatabase),
}

impl Context {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store: Arc<dyn Store> = embedded(folder.path());
        Self { other: Arc::clone(&store), store, place: Place::Folder(folder) }
    }

    async fn mongodb() -> Result<Self, String> {
        let database = TestDatabase::new()?;
        let (store, other) = (connect(&database).await?, connect(&database).await?);
        Ok(Self { store, other, place: Place::Database(database) })
    }

    /// A store that no other test uses, which its operations can be counted on.
    pub async fn quiet_store(&self) -> Arc<dyn Store> {
        match &self.place {
            // The folder is left to the process's end: the store keeps files in it open.
            Place::Folder(_) => embedded(&tempfile::tempdir().expect("a folder").keep()),
            Place::Database(database) => connect(database).await.expect("a store"),
        }
    }

    /// The same with nothing in it, for a test that meets what others leave; the test tears it down.
    pub async fn alone(&self) -> Arc<Self> {
        Arc::new(match &self.place {
            Place::Folder(_) => Self::sqlite(),
            Place::Database(_) => Self::mongodb().await.expect("a store"),
        })
    }

    pub async fn tear_down(self: Arc<Self>) {
        self.store.close().await;
        self.other.close().await;
        if let Place::Database(database) = &self.place {
            database.drop_database().await;
        }
    }
}

fn embedded(folder: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open_with(folder, SqliteStore::MAX_BATCH, PATIENCE).expect("a store"))
}

async fn connect(database: &TestDatabase) -> Result<Arc<dyn Store>, String> {
    when_ready(MongoStore::connect_within(&database.uri(), PATIENCE).map_err(|error| error.to_string())?).await
}

/// The same through another port of this machine.
async fn connect_through(database: &TestDatabase, port: u16) -> Result<Arc<dyn Store>, String> {
    when_ready(MongoStore::connect_within(&database.uri_through(port), PATIENCE).map_err(|error| error.to_string())?).await
}

/// One with the deadlines that it has in use.
async fn connect_to(uri: &str) -> Result<Arc<dyn Store>, String> {
    when_ready(MongoStore::connect(uri).map_err(|error| error.to_string())?).await
}

async fn when_ready(store: MongoStore) -> Result<Arc<dyn Store>, String> {
    let begun = Instant::now();
    while let Err(error) = store.check().await {
        if begun.elapsed() > Duration::from_mins(1) {
            return Err(format!("the MongoDB server does not answer: {error:?}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Arc::new(store))
}

/// Whether a test is of what both stores do for one who asks; many who ask at once want a server of some speed.
fn is_contract(test: &Test<Context>) -> bool {
    test.is_general() && !["races", "account_races", "budget"].iter().any(|file| test.is_of(file))
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ways = [Way::new("sqlite", async || Ok(Context::sqlite())), Way::on_mongodb("mongodb", is_contract, Context::mongodb)];
    let tests = [
        accounts::TESTS,
        sessions::TESTS,
        registrations::TESTS,
        passwords::TESTS,
        addresses::TESTS,
        deletion::TESTS,
        users::TESTS,
        friends::TESTS,
        blocks::TESTS,
        search::TESTS,
        chats::TESTS,
        clocks::TESTS,
        conversations::TESTS,
        read_marks::TESTS,
        changes::TESTS,
        mail::TESTS,
        throttles::TESTS,
        races::TESTS,
        account_races::TESTS,
        budget::TESTS,
        sqlite_only::TESTS,
        mongodb_older::TESTS,
        mongodb_only::TESTS,
        mongodb_plans::TESTS,
        mongodb_elections::TESTS,
        mongodb_probe::TESTS,
        mongodb_examined::TESTS,
        mongodb_summaries::TESTS,
        mongodb_clock::TESTS,
        mongodb_undecodable::TESTS,
        mongodb_watcher::TESTS,
    ];
    harness::run(&runtime, &ways, &tests, Context::tear_down)
}
