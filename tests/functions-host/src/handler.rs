//! The handler's process: one at a time, on one port, started again when it dies and killed without notice in the end.

use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use crate::app::Launch;

/// Pause between two questions whether the handler is ready.
const READY_POLL: Duration = Duration::from_millis(25);
/// The crash within this time that makes the host give up.
const LAST_CRASH: usize = 3;
const CRASH_WINDOW: Duration = Duration::from_mins(30);
/// The exit code by which a handler asks for a restart.
const RESTART_CODE: i32 = 200;

/// How the host logs a line of the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Standard output.
    Information,
    /// Standard error with "warn" in it.
    Warning,
    /// Other lines of standard error.
    Error,
}

/// A line that the handler has written, or one of the host's about it.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// How the host logs it.
    pub level: Level,
    /// Its text.
    pub text: String,
}

/// Why a request cannot be given to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    /// There is no handler and there will be none, though the host lives.
    Gone,
    /// The host has given up.
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Gone,
    Stopped,
}

/// What the supervisor is told.
#[derive(Debug)]
enum Order {
    Crash,
    Restart,
    Stop,
}

/// How a process's life ended.
enum End {
    /// The host is being stopped.
    Stop,
    /// A new process is wanted, and it is nobody's fault.
    Restart,
    /// It exited with 0: the host takes that for an end.
    Finished,
    Crash,
}

/// The handler as the rest of the host sees it.
pub struct Handler {
    launch: Launch,
    port: u16,
    state: watch::Sender<State>,
    starts: AtomicUsize,
    pid: Mutex<Option<u32>>,
    log: Arc<Mutex<Vec<LogLine>>>,
    orders: mpsc::UnboundedSender<Order>,
    received: Mutex<Option<mpsc::UnboundedReceiver<Order>>>,
}

impl Handler {
    /// Chooses the port. The process is started by [`supervise`](Self::supervise).
    pub fn new(launch: Launch) -> std::io::Result<Self> {
        // Picked, released, then handed over, as the host does it.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (orders, received) = mpsc::unbounded_channel();
        Ok(Self {
            launch,
            port,
            state: watch::channel(State::Starting).0,
            starts: AtomicUsize::new(0),
            pid: Mutex::new(None),
            log: Arc::default(),
            orders,
            received: Mutex::new(Some(received)),
        })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> Option<u32> {
        *lock(&self.pid)
    }

    pub fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    pub fn log(&self) -> Vec<LogLine> {
        lock(&self.log).clone()
    }

    pub fn is_stopped(&self) -> bool {
        *self.state.borrow() == State::Stopped
    }

    /// Returns when the host has given up.
    pub async fn stopped(&self) {
        // The sender lives as long as this.
        let _stopped = self.state.subscribe().wait_for(|state| *state == State::Stopped).await.is_ok();
    }

    pub fn crash(&self) {
        self.order(Order::Crash);
    }

    pub fn restart(&self) {
        self.order(Order::Restart);
    }

    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    fn order(&self, order: Order) {
        // At once, so that no request meets the process that is about to die.
        self.state.send_if_modified(|state| {
            let was_ready = *state == State::Ready;
            if was_ready {
                *state = State::Starting;
            }
            was_ready
        });
        // A supervisor that has ended has nothing left to kill.
        let _told = self.orders.send(order);
    }

    /// Waits for a handler that answers.
    pub async fn wait_ready(&self, patience: Duration) -> Result<(), NotReady> {
        let mut state = self.state.subscribe();
        let settled = tokio::time::timeout(patience, state.wait_for(|state| *state != State::Starting)).await;
        match settled.map(|state| state.map(|state| *state)) {
            Ok(Ok(State::Ready)) => Ok(()),
            Ok(Ok(State::Gone)) => Err(NotReady::Gone),
            _ => Err(NotReady::Stopped),
        }
    }

    /// Waits until the death of a handler that refuses connections has been noticed.
    pub async fn wait_noticed(&self) {
        let mut state = self.state.subscribe();
        let _noticed = tokio::time::timeout(Duration::from_secs(1), state.wait_for(|state| *state != State::Ready)).await.is_ok();
    }

    /// Longest time for which an early request is held.
    pub fn hold(&self) -> Duration {
        4 * self.launch.patience
    }

    /// Keeps a process running until the host stops or gives up.
    pub async fn supervise(&self) {
        let Some(mut orders) = lock(&self.received).take() else { return };
        let mut crashes: Vec<Instant> = Vec::new();
        loop {
            match self.live(&mut orders).await {
                End::Stop => break,
                End::Restart => {}
                End::Finished => {
                    self.state.send_replace(State::Gone);
                    wait_for_stop(&mut orders).await;
                    break;
                }
                End::Crash => {
                    crashes.retain(|crash| crash.elapsed() < CRASH_WINDOW);
                    crashes.push(Instant::now());
                    if crashes.len() >= LAST_CRASH {
                        break;
                    }
                }
            }
        }
        self.state.send_replace(State::Stopped);
    }

    /// The life of one process.
    async fn live(&self, orders: &mut mpsc::UnboundedReceiver<Order>) -> End {
        self.state.send_replace(State::Starting);
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(error) => {
                // The host stays up and its requests wait.
                self.note(Level::Error, format!("Failed to start Worker Channel. {}: {error}", self.launch.executable.display()));
                wait_for_stop(orders).await;
                return End::Stop;
            }
        };
        let end = self.watch(&mut child, orders).await;
        *lock(&self.pid) = None;
        end
    }

    async fn watch(&self, child: &mut Child, orders: &mut mpsc::UnboundedReceiver<Order>) -> End {
        let mut becomes_ready = std::pin::pin!(self.becomes_ready());
        let mut is_ready = false;
        loop {
            tokio::select! {
                status = child.wait() => return end_of(status),
                in_time = &mut becomes_ready, if !is_ready => {
                    if !in_time {
                        kill(child).await;
                        return End::Crash;
                    }
                    is_ready = true;
                    self.state.send_replace(State::Ready);
                }
                order = orders.recv() => {
                    kill(child).await;
                    return match order {
                        Some(Order::Crash) => End::Crash,
                        Some(Order::Restart) => End::Restart,
                        Some(Order::Stop) | None => End::Stop,
                    };
                }
            }
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let launch = &self.launch;
        let (port, id) = (self.port.to_string(), uuid::Uuid::new_v4().to_string());
        let mut command = Command::new(&launch.executable);
        command.args(&launch.arguments).current_dir(&launch.working_directory).envs(launch.environment.iter().cloned());
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", &port).env("FUNCTIONS_HTTPWORKER_PORT", &port);
        command.env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id).env("FUNCTIONS_HTTPWORKER_ID", &id);
        command.env("FUNCTIONS_APP_ROOT_PATH", &launch.app_root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        self.starts.fetch_add(1, Ordering::SeqCst);
        *lock(&self.pid) = child.id();
        if let Some(output) = child.stdout.take() {
            self.follow(output, |_line| Level::Information);
        }
        if let Some(errors) = child.stderr.take() {
            self.follow(errors, |line| if line.to_lowercase().contains("warn") { Level::Warning } else { Level::Error });
        }
        Ok(child)
    }

    fn follow(&self, output: impl AsyncRead + Unpin + 'static, level: fn(&str) -> Level) {
        let (log, echo) = (Arc::clone(&self.log), self.launch.echo_log);
        actix_web::rt::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(text)) = lines.next_line().await {
                if echo {
                    println!("{text}");
                }
                lock(&log).push(LogLine { level: level(&text), text });
            }
        });
    }

    fn note(&self, level: Level, text: String) {
        if self.launch.echo_log {
            println!("{text}");
        }
        lock(&self.log).push(LogLine { level, text });
    }

    /// Asks `GET /` until there is any answer; `false` when the budget, which counts only the pauses, is used up.
    async fn becomes_ready(&self) -> bool {
        let client = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
        let mut budget = self.launch.patience;
        loop {
            match client.get(self.url()).send().await {
                Err(error) if error.is_connect() => {}
                // Any other failure counts as an answer too.
                _ => return true,
            }
            let Some(left) = budget.checked_sub(READY_POLL) else { return false };
            budget = left;
            tokio::time::sleep(READY_POLL).await;
        }
    }
}

fn end_of(status: std::io::Result<ExitStatus>) -> End {
    match status.map(|status| status.code()) {
        Ok(Some(0)) => End::Finished,
        Ok(Some(RESTART_CODE)) => End::Restart,
        _ => End::Crash,
    }
}

async fn kill(child: &mut Child) {
    // It may have died by itself.
    let _killed = child.kill().await;
}

async fn wait_for_stop(orders: &mut mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        if matches!(order, Order::Stop) {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
