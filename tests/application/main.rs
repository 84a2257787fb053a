//! The application in this process, where a test can move its clock and count what it asks of its store.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod budget;
#[allow(dead_code, reason = "the HTTP suite uses more of it")]
#[path = "../api/client.rs"]
mod client;
mod lifetimes;
#[path = "../support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chat_functions::domain::Clock;
use chat_functions::gateway::{self, App};
use chat_functions::identity::{PasswordCost, PasswordHasher, Tokens};
use chat_functions::settings::Service;
use chat_functions::store::Store;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use client::{Answer, Client};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use support::harness::{self, Way};
use support::mongodb::TestDatabase;
use support::server::JWT_SECRET;

/// What the driver and the upkeep of the store send by themselves.
const UPKEEP: &[&str] = &["hello", "isMaster", "ismaster", "ping", "createIndexes", "listIndexes", "endSessions"];

/// A server in this process, whose store can be asked what it did.
pub struct Context {
    client: Client,
    clock: Clock,
    store: Arc<dyn Store>,
    operations: Box<dyn Fn() -> u64 + Send + Sync>,
    database: Option<TestDatabase>,
}

impl Context {
    fn on_sqlite() -> Self {
        // Kept to the end of the process: the store has files in it open.
        let folder = tempfile::tempdir().expect("a folder").keep();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder).expect("a store"));
        let counted = Arc::clone(&store);
        let clock = Clock::default();
        Self { client: serve(&store, &clock), clock, store, operations: Box::new(move || counted.operations()), database: None }
    }

    async fn on_mongodb() -> Result<Self, String> {
        let database = TestDatabase::new()?;
        let commands = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commands);
        let observer = EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event
                && !UPKEEP.contains(&started.command_name.as_str())
            {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let store = MongoStore::connect_observed(&database.uri(), observer).map_err(|error| error.to_string())?;
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (store, clock): (Arc<dyn Store>, _) = (Arc::new(store), Clock::default());
        Ok(Self {
            client: serve(&store, &clock),
            clock,
            store,
            operations: Box::new(move || commands.load(Ordering::SeqCst)),
            database: Some(database),
        })
    }

    /// Another one on data of its own, which no other test disturbs.
    async fn fresh(&self) -> Self {
        if self.database.is_some() { Self::on_mongodb().await.expect("a server") } else { Self::on_sqlite() }
    }

    /// Removes what does not vanish by itself.
    async fn clear(&self) {
        if let Some(database) = &self.database {
            database.drop_database().await;
        }
    }

    /// Checks what a request takes; none at all would mean that nobody counts.
    async fn costs(&self, what: &str, most: u64, request: impl Future<Output = Answer>) -> Answer {
        let before = (self.operations)();
        let answer = request.await;
        let spent = (self.operations)() - before;
        assert!((1..=most).contains(&spent), "{what}: {spent} operations, at most {most} allowed");
        answer
    }
}

/// Serves the application on a thread of its own, as `main` does, to the end of the process.
fn serve(store: &Arc<dyn Store>, clock: &Clock) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = Client::new(&format!("http://{}", listener.local_addr().expect("an address")));
    let app = App {
        store: Arc::clone(store),
        clock: clock.clone(),
        tokens: Tokens::new(&JWT_SECRET.into()),
        passwords: PasswordHasher::new(PasswordCost::LOWEST, 8).expect("a hasher"),
        services: Service::ALL.to_vec(),
        cors_origins: Vec::new(),
        is_https: false,
    };
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async { gateway::serve(listener, app).expect("a server").await.expect("served") });
    });
    client
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sqlite = Context::on_sqlite();
    let mongodb = runtime.block_on(Context::on_mongodb());
    let ways = vec![Way { name: "sqlite", context: Ok(Arc::new(sqlite)) }, Way { name: "mongodb", context: mongodb.map(Arc::new) }];
    harness::run(&runtime, ways, &[budget::TESTS, lifetimes::TESTS], |context| async move { context.clear().await })
}
