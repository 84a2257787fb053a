//! Data on one kind of store, and servers on it.

use std::time::Duration;

use chat_functions::store::Store;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use mongodb::bson::{Document, doc};
use tempfile::TempDir;

use crate::database_server::{self, DatabaseServer, not_run};
use crate::mongodb_server::TestDatabase;
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
            None => Environment::new(),
            Some(uri) => Environment::new().with("MONGODB_URI", uri),
        };
        Some(Self { folder: tempfile::tempdir().expect("a folder"), environment, database })
    }

    /// People with accounts. Before a server is started: the embedded store is for one process.
    pub async fn people(&self, count: usize) -> Vec<Person> {
        let store: Box<dyn Store> = match self.database.uri() {
            None => Box::new(SqliteStore::open(&self.folder.path().join("data")).expect("a store")),
            Some(uri) => Box::new(MongoStore::connect(&uri).expect("a store")),
        };
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let people = people::create(store.as_ref(), count).await;
        store.close().await;
        people
    }

    /// A server whose store answers.
    pub async fn start(&self) -> Server {
        let server = tokio::task::block_in_place(|| Server::start(&self.environment, self.folder.path())).expect("a server");
        server.ready().await.expect("a store");
        server
    }

    /// What tells how much the database server has done, if there is one.
    pub async fn counter(&self) -> Option<Counter> {
        let client = mongodb::Client::with_uri_str(self.database.uri()?).await.expect("a client");
        Some(Counter(client.database("admin")))
    }

    /// Removes what does not vanish by itself.
    pub async fn clear(self) {
        if let Database::OfTheRun(database) = &self.database {
            database.drop_database().await;
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
