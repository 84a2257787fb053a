//! A database server of a test's own, which it may kill.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::doc;
use tokio::net::TcpStream;

use super::not_run::not_run;

/// What a server tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whatever the server of the test run is when it is started without more ado.
    AsInThisRun,
    /// One server alone, which has no change streams.
    Standalone,
}

/// A database server of the test's own; dropping it kills it.
pub struct DatabaseServer {
    executable: PathBuf,
    port: u16,
    kind: Kind,
    /// Whether it lets nobody in but its users.
    is_guarded: bool,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl DatabaseServer {
    /// Starts a server like that of the test run and waits for it; `None`, said loudly, when that cannot be.
    pub async fn start(kind: Kind) -> Option<Self> {
        let Some(executable) = std::env::var_os("TEST_MONGODB_SERVER").map(PathBuf::from) else {
            return not_run("the MongoDB server of this run is not ours to start or kill");
        };
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let mut server = Self { executable, port, kind, is_guarded: false, folder: tempfile::tempdir().expect("a folder"), child: None };
        server.start_again();
        if server.is_there().await { Some(server) } else { not_run("the MongoDB server of this run does not start as one alone") }
    }

    /// Where a product finds it.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/chat?directConnection=true", self.port)
    }

    pub fn start_again(&mut self) {
        let mut command = Command::new(&self.executable);
        command.args(["--port", &self.port.to_string()]).arg(self.data_argument()).arg(self.folder.path());
        // MongoDB's own server is alone unless it is told to be one of a set.
        if self.kind == Kind::Standalone && !self.is_mongod() {
            command.arg("--standalone");
        }
        if self.is_guarded {
            command.arg("--auth");
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts"));
    }

    /// Starts it again so that it lets in only one user, who may read and write the database `chat`. Gives where a product finds it
    /// as that user.
    pub async fn let_in_one_user(&mut self) -> String {
        let client = Client::with_uri_str(self.uri()).await.expect("a client");
        let user = doc! { "createUser": "program", "pwd": "as-good-as-any", "roles": [{ "role": "readWrite", "db": "chat" }] };
        client.database("chat").run_command(user).await.expect("a user");
        self.kill();
        self.is_guarded = true;
        self.start_again();
        assert!(self.is_there().await, "the server starts again");
        self.uri().replace("mongodb://", "mongodb://program:as-good-as-any@")
    }

    /// Waits for the server; `false` when it has ended instead.
    async fn is_there(&mut self) -> bool {
        loop {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            if self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some())) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether it tells changes by itself.
    pub fn has_change_streams(&self) -> bool {
        self.kind == Kind::AsInThisRun && !self.is_mongod()
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            child.wait().expect("the process ends");
        }
    }

    /// How a server is told where its data is.
    fn data_argument(&self) -> &'static Path {
        Path::new(if self.is_mongod() { "--dbpath" } else { "--storage-path" })
    }

    fn is_mongod(&self) -> bool {
        self.executable.file_name().is_some_and(|name| name == "mongod")
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        self.kill();
    }
}
