//! A stand-in for the Azure Functions host: starts a custom handler as the host does and forwards HTTP triggers to it.
//!
//! It follows what host 4.1037 was seen to do in forwarding mode (`enableForwardingHttpRequest`), including what gets lost
//! on the way: the query is rebuilt, header lines are joined, answers are buffered, chunked requests are refused. It has no
//! keys, telemetry, scaling, bundles, payload mode or proxying mode. Its listener refuses
//! by 400 what the host refuses by 500, a length beside chunks, and what it reads as 5, `Content-Length: +5`.
//!
//! - `app`: host.json, local.settings.json and the function folders.
//! - `routing`: which function a path and a method mean.
//! - `handler`: the handler's process: started, watched, started again, killed.
//! - `forward`: what the handler is told and what the caller gets back.
//! - `server`: the host's own listener.

mod app;
mod forward;
mod handler;
mod percent;
mod routing;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

pub use app::StartError;
pub use handler::{Level, LogLine};

use app::App;
use handler::Handler;

/// What a host is started with.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The folder with host.json and the function folders.
    pub app_root: PathBuf,
    /// Variables for the handler, on top of the `Values` of local.settings.json and the host's own environment.
    pub environment: Vec<(String, String)>,
    /// Replaces `customHandler.description.defaultExecutablePath`, as an app setting can.
    pub executable: Option<PathBuf>,
    /// Replaces `customHandler.description.workingDirectory`, whose default is the app root.
    pub working_directory: Option<PathBuf>,
    /// Where the host listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether functions with another `authLevel` than `anonymous` are closed, as in Azure. Local tools leave them open.
    pub enforce_keys: bool,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// Whether the handler's lines are written to the terminal.
    pub echo_log: bool,
}

impl HostOptions {
    /// The defaults of the local tools for an application.
    #[must_use]
    pub fn new(app_root: impl Into<PathBuf>) -> Self {
        Self {
            app_root: app_root.into(),
            environment: Vec::new(),
            executable: None,
            working_directory: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            enforce_keys: false,
            body_limit: 104_857_600,
            echo_log: false,
        }
    }
}

/// A running host. Dropping it ends the handler and waits for its end.
pub struct FunctionsHost {
    address: SocketAddr,
    handler: Arc<Handler>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FunctionsHost {
    /// Reads the application, listens, and starts the handler. Requests that come before the handler is ready are held.
    pub async fn start(options: HostOptions) -> Result<Self, StartError> {
        let app = App::load(&options)?;
        let listener = std::net::TcpListener::bind(options.listen)?;
        let address = listener.local_addr()?;
        let handler = Arc::new(Handler::new(app.launch.clone())?);
        let (stop, stopped) = oneshot::channel();
        let (for_thread, started) = (Arc::clone(&handler), oneshot::channel());
        let (tell_started, is_started) = started;
        // A runtime of its own, so that a host can be used from any.
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(server::run(listener, app, for_thread, tell_started, stopped));
        });
        is_started.await.map_err(|_ended| StartError::Server)?;
        Ok(Self { address, handler, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, such as `http://127.0.0.1:7071`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it has the handler listen: the way to the handler that does not lead through it.
    #[must_use]
    pub fn handler_url(&self) -> String {
        self.handler.url()
    }

    /// The handler's process, while there is one.
    #[must_use]
    pub fn handler_pid(&self) -> Option<u32> {
        self.handler.pid()
    }

    /// How many handler processes were started so far.
    #[must_use]
    pub fn handler_starts(&self) -> usize {
        self.handler.starts()
    }

    /// What the handler has written, line by line.
    #[must_use]
    pub fn handler_log(&self) -> Vec<LogLine> {
        self.handler.log()
    }

    /// Whether the host has given up: the handler crashed three times within half an hour.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.handler.is_stopped()
    }

    /// Kills the handler without notice, as a crash would.
    pub fn kill_handler(&self) {
        self.handler.crash();
    }

    /// Waits until the handler is ready; `false` when it did not become so in time.
    pub async fn ready(&self, patience: Duration) -> bool {
        self.handler.wait_ready(patience).await.is_ok()
    }

    /// Lets the requests in flight finish, then kills the handler: it gets no notice.
    pub async fn stop(mut self) {
        let ended = tokio::task::spawn_blocking(move || self.end());
        ended.await.unwrap_or_default();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _told = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Drop for FunctionsHost {
    fn drop(&mut self) {
        self.end();
    }
}
