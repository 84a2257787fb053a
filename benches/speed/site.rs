//! Data on one kind of store, and servers on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chat_functions::store::Store;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use functions_host::FunctionsHost;
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::database_server::{self, DatabaseServer};
use crate::hosted;
use crate::mongodb_server::TestDatabase;
use crate::not_run::not_run;
use crate::people::{self, Person};
use crate::server::{Environment, Server};

/// What a server keeps its data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The embedded store.
    Sqlite,
    /// MongoDB that tells of changes by itself.
    ChangeStream,
    /// MongoDB that does not, and is asked.
    Standalone,
}

/// The data, and the settings of its servers.
pub struct Site {
    folder: TempDir,
    environment: Environment,
    database: Database,
}

enum Database {
    None,
    OfTheRun(TestDatabase),
    Own(DatabaseServer),
}

/// Where data is, as the stores understand it.
#[derive(Serialize, Deserialize)]
pub enum Location {
    Folder(PathBuf),
    Database(String),
}

/// Data that belongs to a bare server.
pub enum Copy {
    /// A folder of its own, because a file is for one process.
    Folder(TempDir),
    /// The same database.
    Database(String),
}

/// What a database server counts.
pub struct Counter(mongodb::Database);

impl Site {
    /// Fresh data; `None`, said loudly, when there can be none of this kind.
    pub async fn open(kind: Kind) -> Option<Self> {
        let database = match kind {
            Kind::Sqlite => Database::None,
            Kind::ChangeStream => Database::OfTheRun(TestDatabase::new().map_or_else(|reason| not_run(&reason), Some)?),
            Kind::Standalone => Database::Own(DatabaseServer::start(database_server::Kind::Standalone).await?),
        };
        let environment = match database.uri() {
            None => environment(),
            Some(uri) => environment().with("MONGODB_URI", uri),
        };
        Some(Self { folder: tempfile::tempdir().expect("a folder"), environment, database })
    }

    /// The same with another setting of its servers.
    pub fn with(self, name: &str, value: &str) -> Self {
        Self { environment: self.environment.with(name, value), ..self }
    }

    /// Puts data into the store. Before a server is started: the embedded store is for one process.
    pub async fn fill<T>(&self, filling: impl AsyncFnOnce(&dyn Store) -> T) -> T {
        let store = self.location().open().await;
        let filled = filling(store.as_ref()).await;
        store.close().await;
        filled
    }

    /// People with accounts.
    pub async fn people(&self, count: usize) -> Vec<Person> {
        self.fill(async |store| people::create(store, count).await).await
    }

    /// Where the data is.
    pub fn location(&self) -> Location {
        self.database.uri().map_or_else(|| Location::Folder(self.folder.path().join("data")), Location::Database)
    }

    /// The same data for another process, taken before a server is started.
    pub fn copy(&self) -> Copy {
        match self.location() {
            Location::Database(uri) => Copy::Database(uri),
            Location::Folder(folder) => {
                let copy = tempfile::tempdir().expect("a folder");
                std::fs::copy(folder.join("chat.db"), copy.path().join("chat.db")).expect("copied");
                Copy::Folder(copy)
            }
        }
    }

    /// The database by the driver, if there is one.
    pub async fn database(&self) -> Option<mongodb::Database> {
        let client = mongodb::Client::with_uri_str(self.database.uri()?).await.expect("a client");
        client.default_database()
    }

    /// A server whose store answers.
    pub async fn start(&self) -> Server {
        let server = self.launch();
        server.ready().await.expect("a store");
        server
    }

    /// A server that listens.
    pub fn launch(&self) -> Server {
        tokio::task::block_in_place(|| Server::start(&self.environment, self.folder.path())).expect("a server")
    }

    /// What tells how much the database server has done, if there is one.
    pub async fn counter(&self) -> Option<Counter> {
        let client = mongodb::Client::with_uri_str(self.database.uri()?).await.expect("a client");
        Some(Counter(client.database("admin")))
    }

    /// The same behind the stand-in for the Functions host.
    pub async fn start_hosted(&self) -> FunctionsHost {
        hosted::start(&self.environment, &self.folder.path().join("data")).await.expect("a host")
    }

    /// Removes what does not vanish by itself.
    pub async fn clear(self) {
        if let Database::OfTheRun(database) = &self.database {
            database.drop_database().await;
        }
    }
}

/// The settings of every server that is measured. It counts for its rate limits as it always does; they are so high that nobody
/// meets them.
fn environment() -> Environment {
    let limits = [
        ("LIMIT_SEND", "1000000/1s"),
        ("LIMIT_READ", "1000000/1s"),
        ("LIMIT_ANONYMOUS", "1000000/1s"),
        ("LIMIT_LOGIN_ACCOUNT_NET", "1000/1s"),
        ("LIMIT_LOGIN_ACCOUNT", "1000/1s"),
        ("LIMIT_LOGIN_NET", "1000/1s"),
    ];
    limits.into_iter().fold(Environment::new().with("LIMITS", "on"), |environment, (name, limit)| environment.with(name, limit))
}

impl Location {
    /// Opens the store, and waits until it answers.
    pub async fn open(&self) -> Arc<dyn Store> {
        let store: Arc<dyn Store> = match self {
            Self::Folder(folder) => Arc::new(SqliteStore::open(folder).expect("a store")),
            Self::Database(uri) => Arc::new(MongoStore::connect(uri).expect("a store")),
        };
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store
    }
}

impl Copy {
    pub fn location(&self) -> Location {
        match self {
            Self::Folder(folder) => Location::Folder(folder.path().to_owned()),
            Self::Database(uri) => Location::Database(uri.clone()),
        }
    }
}

impl Counter {
    /// How many operations it has done, those of the counting client among them.
    pub async fn operations(&self) -> i64 {
        let status: Document = self.0.run_command(doc! { "serverStatus": 1 }).await.expect("a status");
        let counters = status.get_document("opcounters").expect("counters of operations");
        counters.values().filter_map(|count| count.as_i64().or_else(|| count.as_i32().map(i64::from))).sum()
    }
}

impl Database {
    fn uri(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::OfTheRun(database) => Some(database.uri()),
            Self::Own(server) => Some(server.uri()),
        }
    }
}
