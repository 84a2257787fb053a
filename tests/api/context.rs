//! What a test gets: a server to talk to, and the means to start another one like it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use functions_host::{FunctionsHost, HostOptions};
use tempfile::TempDir;

use crate::client::{Client, Person};
use crate::database::Database;
use crate::support::mongodb::TestDatabase;
use crate::support::server::{EXECUTABLE, Environment, Server};

/// The ways in which a test talks to the program itself.
pub const ALONE: &[&str] = &["sqlite", "mongodb"];

/// What the tests talk to.
enum Target {
    Program(Server),
    Host(FunctionsHost),
}

/// One way to run the tests.
pub struct Context {
    target: Target,
    client: Client,
    environment: Environment,
    folder: TempDir,
    database: Option<TestDatabase>,
}

impl Context {
    /// The program alone, with the embedded store.
    pub async fn on_sqlite() -> Result<Self, String> {
        Self::start(Environment::new(), None).await
    }

    /// The program alone, with a database of its own on the MongoDB server of the test run.
    pub async fn on_mongodb() -> Result<Self, String> {
        let database = TestDatabase::new()?;
        Self::start(Environment::new().with("MONGODB_URI", database.uri()), Some(database)).await
    }

    async fn start(environment: Environment, database: Option<TestDatabase>) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let server = Server::start(&environment, folder.path())?;
        server.ready().await?;
        Ok(Self { client: Client::new(server.url()), target: Target::Program(server), environment, folder, database })
    }

    /// The program behind the Functions host stand-in, as `func start` runs it: the repository's own host.json, function
    /// folders and local settings, with the embedded store.
    pub async fn behind_the_host() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let data = folder.path().join("data").to_string_lossy().into_owned();
        let environment = Environment::new().with("DATA_DIR", data).without("APP_ENV").without("LISTEN").without("LOG_FORMAT");
        let options = HostOptions {
            environment: environment.variables().to_vec(),
            executable: Some(EXECUTABLE.into()),
            ..HostOptions::new(Path::new(env!("CARGO_MANIFEST_DIR")))
        };
        let host = FunctionsHost::start(options).await.map_err(|error| error.to_string())?;
        if !host.ready(Duration::from_secs(30)).await {
            return Err(format!("the handler did not become ready: {:?}", host.handler_log()));
        }
        Ok(Self { client: Client::new(&host.url()), target: Target::Host(host), environment, folder, database: None })
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

    /// Whether nothing stands between the client and the program.
    pub fn is_alone(&self) -> bool {
        matches!(self.target, Target::Program(_))
    }

    /// Where the server listens.
    pub fn url(&self) -> String {
        match &self.target {
            Target::Program(server) => server.url().to_owned(),
            Target::Host(host) => host.url(),
        }
    }

    /// What the server keeps, past the program.
    pub async fn database(&self) -> Database {
        match &self.database {
            Some(database) => Database::MongoDb(database.open().await),
            None => Database::Sqlite(self.folder.path().join("data/chat.db")),
        }
    }

    /// What the server has logged.
    pub fn log(&self) -> Vec<String> {
        match &self.target {
            Target::Program(server) => server.log(),
            Target::Host(host) => host.handler_log().into_iter().map(|line| line.text).collect(),
        }
    }

    /// The settings of the server, for one of the test's own that differs in some. With MongoDB the two share the database,
    /// as two instances do; the embedded store is another one in another folder.
    pub fn environment(&self) -> Environment {
        self.environment.clone()
    }

    pub async fn tear_down(self: Arc<Self>) {
        if let Target::Program(server) = &self.target {
            server.kill();
        }
        if let Some(database) = &self.database {
            database.drop_database().await;
        }
    }
}
