//! What must survive: killed processes, lost databases, lost answers, clients that vanish.
//!
//! Each test starts processes of its own on data of its own. The measure is the ledger (`ledger.rs`): what was
//! acknowledged is there once, and nothing is there twice.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    missing_docs,
    reason = "tests fail by panicking"
)]

#[allow(dead_code, reason = "the HTTP suite uses more of it")]
#[path = "../api/client.rs"]
mod client;
mod clients;
mod database_lost;
mod database_server;
mod full_disk;
mod ledger;
mod log_reader;
mod mail;
mod polls;
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::harness::{self, Way};
use support::mongodb::TestDatabase;
use support::server::{Environment, Server};
use tempfile::TempDir;

/// The way whose tests need a database to lose.
pub const MONGODB: &[&str] = &["mongodb"];
/// The way whose tests need a file.
pub const SQLITE: &[&str] = &["sqlite"];

/// The store under test.
pub struct Context {
    with_mongodb: bool,
}

/// Data for one test and what a server needs to serve it.
pub struct Site {
    pub folder: TempDir,
    pub database: Option<TestDatabase>,
    pub environment: Environment,
}

impl Context {
    /// Fresh data on the store under test.
    pub fn site(&self) -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = Environment::new().with("RUST_LOG", "warn,chat_functions=info");
        if !self.with_mongodb {
            return Site { folder, database: None, environment };
        }
        let database = TestDatabase::new().expect("a server");
        Site { environment: environment.with("MONGODB_URI", database.uri()), folder, database: Some(database) }
    }
}

impl Site {
    /// A server on the data.
    pub fn start(&self) -> Server {
        tokio::task::block_in_place(|| Server::start(&self.environment, self.folder.path())).expect("a server")
    }

    /// A server on the data, with its store.
    pub async fn start_ready(&self) -> Server {
        let server = self.start();
        server.ready().await.expect("a store");
        server
    }

    /// Removes what does not vanish by itself.
    pub async fn clear(&self) {
        if let Some(database) = &self.database {
            database.drop_database().await;
        }
    }
}

/// How long something may take that is not to hang.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again until the answer is yes.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut question: impl FnMut() -> F) {
    let begun = Instant::now();
    while !question().await {
        assert!(begun.elapsed() < PATIENCE, "after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ways = [
        Way::new("sqlite", async || Ok(Context { with_mongodb: false })),
        Way::on_mongodb("mongodb", |_none| false, async || TestDatabase::new().map(|_there_is_one| Context { with_mongodb: true })),
    ];
    let tests = [
        process::TESTS,
        full_disk::TESTS,
        clients::TESTS,
        database_lost::TESTS,
        database_server::TESTS,
        mail::TESTS,
        log_reader::TESTS,
        polls::TESTS,
    ];
    harness::run(&runtime, &ways, &tests, |_context| async {})
}
