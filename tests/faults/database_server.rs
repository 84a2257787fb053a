//! The database server is killed and comes back on the same data.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::client::Client;
use crate::ledger::Ledger;
use crate::{Context, MONGODB, eventually, tests};

tests!(Context: a_database_server_killed_three_times_loses_nothing in MONGODB);

/// A database server of the test's own; dropping it kills it.
struct DatabaseServer {
    executable: PathBuf,
    port: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl DatabaseServer {
    /// Starts the kind of server that the test run found; `None` when it was given one that is not ours to kill.
    fn start() -> Option<Self> {
        let executable = PathBuf::from(std::env::var_os("TEST_MONGODB_SERVER")?);
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let mut server = Self { executable, port, folder: tempfile::tempdir().expect("a folder"), child: None };
        server.start_again();
        Some(server)
    }

    fn start_again(&mut self) {
        let (folder, port) = (self.folder.path(), self.port.to_string());
        let mut command = Command::new(&self.executable);
        command.args(["--port", &port]).arg(data_argument(&self.executable)).arg(folder);
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            child.wait().expect("the process ends");
        }
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a server is told where its data is.
fn data_argument(executable: &Path) -> &'static str {
    let is_mongod = executable.file_name().is_some_and(|name| name == "mongod");
    if is_mongod { "--dbpath" } else { "--storage-path" }
}

async fn a_database_server_killed_three_times_loses_nothing(context: Arc<Context>) {
    let Some(mut database) = DatabaseServer::start() else {
        assert!(std::env::var_os("CI").is_none(), "NOT RUN: the MongoDB server of this run is not ours to kill");
        return eprintln!("NOT RUN: the MongoDB server of this run is not ours to kill");
    };
    let mut site = context.site();
    site.environment = site.environment.with("MONGODB_URI", format!("mongodb://127.0.0.1:{}/chat?directConnection=true", database.port));
    let server = site.start();
    let client = Client::new(server.url());
    let is_ready = || async { client.get("/api/health").await.status == 200 };
    eventually("the database is ready", Duration::from_secs(30), is_ready).await;
    let ledger = Ledger::open(server.url()).await;
    ledger.begin();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        database.kill();
        database.start_again();
        eventually("the database is ready again", Duration::from_secs(30), is_ready).await;
    }
    let messages = ledger.close().await;
    assert!(messages > 5, "only {messages} messages were sent: nothing was at stake");
}
