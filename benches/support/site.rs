//! Data on one kind of store, and servers on it.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chat_functions::store::Store;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use mongodb::bson::{Document, doc};
use tempfile::TempDir;

use crate::mongodb_server::TestDatabase;
use crate::people::{self, Person};
use crate::server::{Environment, Server};

/// How long a database server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

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
    Own(OwnServer),
}

/// What a database server counts.
pub struct Counter(mongodb::Database);

/// A database server of the bench's own; dropping it ends it.
struct OwnServer {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Site {
    /// Fresh data; or why there can be none of this kind.
    pub fn open(kind: Kind) -> Result<Self, String> {
        let database = match kind {
            Kind::Sqlite => Database::None,
            Kind::ChangeStream => Database::OfTheRun(TestDatabase::new()?),
            Kind::Standalone => Database::Own(OwnServer::start()?),
        };
        let environment = match database.uri() {
            None => Environment::new(),
            Some(uri) => Environment::new().with("MONGODB_URI", uri),
        };
        Ok(Self { folder: tempfile::tempdir().map_err(|error| error.to_string())?, environment, database })
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
            Self::Own(server) => Some(format!("mongodb://127.0.0.1:{}/chat?directConnection=true", server.port)),
        }
    }
}

impl OwnServer {
    /// Starts the kind of server that the run found, alone, so that it has no change stream.
    fn start() -> Result<Self, String> {
        let executable = std::env::var("TEST_MONGODB_SERVER").map_err(|_| "the MongoDB server of this run is not ours to start")?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        drop(listener);
        let mut command = Command::new(&executable);
        command.args(["--port", &port.to_string()]);
        if executable.ends_with("mongod") {
            command.arg("--dbpath").arg(folder.path());
        } else {
            command.arg("--standalone").arg("--storage-path").arg(folder.path());
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        let mut server = Self { child, port, _folder: folder };
        if server.listens() { Ok(server) } else { Err(format!("{executable} does not start alone")) }
    }

    /// Waits until it listens; `false` when it has ended or takes too long.
    fn listens(&mut self) -> bool {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if begun.elapsed() > PATIENCE || self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}
