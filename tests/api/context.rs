//! What a test gets: a server to talk to, and the means to start another one like it.

use std::sync::Arc;

use tempfile::TempDir;

use crate::client::{Client, Person};
use crate::support::mongodb::TestDatabase;
use crate::support::server::{Environment, Server};

/// The ways in which a test talks to the program itself.
pub const ALONE: &[&str] = &["sqlite", "mongodb"];

/// One way to run the tests.
pub struct Context {
    server: Server,
    client: Client,
    environment: Environment,
    _folder: TempDir,
    database: Option<TestDatabase>,
}

impl Context {
    /// The program alone, with the embedded store.
    pub fn on_sqlite() -> Result<Self, String> {
        Self::start(Environment::new(), None)
    }

    /// The program alone, with a database of its own on the MongoDB server of the test run.
    pub fn on_mongodb() -> Result<Self, String> {
        let database = TestDatabase::new()?;
        Self::start(Environment::new().with("MONGODB_URI", database.uri()), Some(database))
    }

    fn start(environment: Environment, database: Option<TestDatabase>) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let server = Server::start(&environment, folder.path())?;
        Ok(Self { client: Client::new(server.url()), server, environment, _folder: folder, database })
    }

    /// Somebody without an account.
    pub fn anonymous(&self) -> &Client {
        &self.client
    }

    /// Somebody new with an account.
    pub async fn person(&self) -> Person {
        Person::register(&self.client).await
    }

    /// Two people.
    pub async fn pair(&self) -> (Person, Person) {
        futures_util::join!(self.person(), self.person())
    }

    /// Where the server listens.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// What the server has logged.
    pub fn log(&self) -> Vec<String> {
        self.server.log()
    }

    /// The settings of the server, for one of the test's own that differs in some. With MongoDB the two share the database,
    /// as two instances do; the embedded store is another one in another folder.
    pub fn environment(&self) -> Environment {
        self.environment.clone()
    }

    pub async fn tear_down(self: Arc<Self>) {
        self.server.kill();
        if let Some(database) = &self.database {
            database.drop_database().await;
        }
    }
}
