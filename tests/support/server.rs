//! The real program in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary under test.
pub const EXECUTABLE: &str = env!("CARGO_BIN_EXE_chat-functions");
/// The key of the tokens in every test, so that tests can make tokens of their own.
pub const JWT_SECRET: &str = "the tests sign with 0123456789 and nothing else";
/// How long a server that is no longer needed may take to end in order.
const DROP_PATIENCE: Duration = Duration::from_secs(3);
/// How long a process may take to listen, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a started server runs with, besides the settings that every test has.
#[derive(Default, Clone)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// The settings of a server on this machine that shares no folder with another. All tests come from one address, so
    /// nothing is limited.
    pub fn new() -> Self {
        Self::default()
            .with("JWT_SECRET", JWT_SECRET)
            .with("APP_ENV", "development")
            .with("LISTEN", "127.0.0.1:0")
            .with("LOG_FORMAT", "json")
            .with("LIMITS", "off")
    }

    /// The same with one more variable, or another value of it.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.retain(|(present, _)| present != name);
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The same without a variable.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(present, _)| present != name);
        self
    }

    /// The variables.
    pub fn variables(&self) -> &[(String, String)] {
        &self.0
    }
}

/// A running server; dropping it ends it.
pub struct Server {
    child: Mutex<Child>,
    url: String,
    log: Log,
}

/// What a process has written, line by line.
#[derive(Default, Clone)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn follow(&self, output: impl std::io::Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                log.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn url(&self) -> Option<String> {
        let events = self.lines().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        events.filter(|event| event["event"] == "listening").find_map(|event| event["url"].as_str().map(str::to_owned))
    }
}

impl Server {
    /// Starts the program with nothing in its environment but the given variables, in `folder`, and returns when it listens.
    pub fn start(environment: &Environment, folder: &Path) -> Result<Self, String> {
        let mut child = command(environment, folder).spawn().map_err(|error| format!("{EXECUTABLE}: {error}"))?;
        let log = Log::default();
        log.follow(child.stdout.take().ok_or("no standard output")?);
        log.follow(child.stderr.take().ok_or("no standard error")?);
        let begun = Instant::now();
        loop {
            if let Some(url) = log.url() {
                return Ok(Self { child: Mutex::new(child), url, log });
            }
            let exited = child.try_wait().map_err(|error| error.to_string())?;
            if exited.is_some() || begun.elapsed() > PATIENCE {
                let _gone = child.kill();
                return Err(format!("the server did not start ({exited:?}): {:?}", log.lines()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until its store answers.
    pub async fn ready(&self) -> Result<(), String> {
        let begun = Instant::now();
        while !reqwest::get(format!("{}/api/health", self.url)).await.is_ok_and(|answer| answer.status().is_success()) {
            if begun.elapsed() > PATIENCE {
                return Err(format!("the store does not answer: {:?}", self.log()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has written so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Ends it as the Functions host does, without notice.
    pub fn kill(&self) {
        let mut child = self.child();
        let _gone = child.kill();
        child.wait().expect("the process ends");
    }

    /// Asks it to end, by SIGTERM.
    pub fn terminate(&self) {
        if self.child().try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // By the shell, which always has it: the program of this name is not everywhere.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.pid())).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM could not be sent");
    }

    /// Ends it in order, and waits for it.
    pub async fn stop(self) {
        self.terminate();
        let status = self.wait().await;
        assert!(status.success(), "{status:?}: {:?}", self.log());
    }

    /// Waits for its end.
    pub async fn wait(&self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child().try_wait().expect("a status") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the process does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    /// Ends it in order, so that it leaves no mail taken that others wait for; by force when that takes too long.
    fn drop(&mut self) {
        self.terminate();
        let begun = Instant::now();
        while self.child().try_wait().is_ok_and(|status| status.is_none()) && begun.elapsed() < DROP_PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill();
    }
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Runs the program to its end: the exit code, standard output and standard error.
pub fn run_to_end(environment: &Environment, folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(environment, folder).args(arguments).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn command(environment: &Environment, folder: &Path) -> Command {
    let mut command = Command::new(EXECUTABLE);
    command.current_dir(folder).env_clear().envs(environment.variables().iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
