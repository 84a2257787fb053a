//! The original design's server: `benches/original/app.py` under gunicorn, in a virtual environment of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::process::Process;
use crate::server::JWT_SECRET;

/// The folder of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How long the server may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; dropping it ends it.
pub struct Gunicorn {
    child: Child,
    pub address: SocketAddr,
}

impl Gunicorn {
    /// Installs what it needs, unless that is there, starts it on a database and returns when it listens with all its workers.
    pub async fn start(database_uri: &str) -> Result<Self, String> {
        let environment = tokio::task::block_in_place(install)?;
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let mut command = Command::new(environment.join("bin/gunicorn"));
        command.args(["--workers", &workers().to_string(), "--bind", &address.to_string(), "--log-level", "warning", "app:app"]);
        command.current_dir(Path::new(ROOT).join("benches/original")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("MONGODB_URI", database_uri).env("JWT_SECRET", JWT_SECRET).stdin(Stdio::null());
        let mut server = Self { child: command.spawn().map_err(|error| format!("gunicorn: {error}"))?, address };
        server.listens().await?;
        Ok(server)
    }

    async fn listens(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).await.is_err() || self.processes().len() <= workers() {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                return Err(format!("gunicorn does not listen ({ended:?})"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The master and its workers.
    pub fn processes(&self) -> Vec<Process> {
        let master = Process(self.child.id());
        let mut processes = master.children();
        processes.push(master);
        processes
    }
}

impl Drop for Gunicorn {
    /// Asks it to end, which ends its workers too, and waits for that. Workers whose master was killed end by themselves.
    fn drop(&mut self) {
        let _asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// As many as gunicorn's documentation advises for workers that do one request at a time.
pub fn workers() -> usize {
    2 * available_parallelism().map_or(1, usize::from) + 1
}

/// The virtual environment with all that the requirements name. A copy of them tells what is installed.
fn install() -> Result<PathBuf, String> {
    let environment = Path::new(ROOT).join(".test-tools/original");
    let (wanted, installed) = (Path::new(ROOT).join("benches/original/requirements.txt"), environment.join("requirements.txt"));
    let read = |path: &Path| std::fs::read(path).ok();
    if read(&wanted) == read(&installed) {
        return Ok(environment);
    }
    println!("installing Flask, gunicorn and what they need from PyPI into .test-tools/original");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    run(Command::new(environment.join("bin/pip")).args(["install", "--quiet", "--requirement"]).arg(&wanted))?;
    std::fs::copy(&wanted, &installed).map_err(|error| error.to_string())?;
    Ok(environment)
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.stdin(Stdio::null()).status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
