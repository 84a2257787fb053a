//! The program: reads the settings, binds, opens the store, serves.

use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use actix_web::dev::ServerHandle;
use chat_functions::domain::Clock;
use chat_functions::gateway::App;
use chat_functions::settings::{Mode, Settings, VARIABLES};
use chat_functions::startup::{self, Failure};
use chat_functions::store::Store;
use chat_functions::{check, gateway, health_check, logging};
use tokio::signal::unix::{SignalKind, signal};

/// Password hashing takes and gives back large blocks all the time; the system's allocator would keep them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `sysexits.h` calls a configuration error.
const EXIT_CONFIG: u8 = 78;

/// What `sysexits.h` calls a command line error.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    // What is no text is no argument of ours; `args` would panic over it.
    let argument = std::env::args_os().nth(1).map(|argument| argument.to_string_lossy().into_owned());
    match argument.as_deref() {
        None => run(),
        Some("--check") => diagnose(),
        Some("--health") => ask_for_health(),
        Some(argument) => answer_argument(argument),
    }
}

fn run() -> ExitCode {
    let settings = match settings_or_exit() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    logging::start(settings.log_format, &settings.log_filter);
    let served = actix_web::rt::System::new().block_on(serve(settings));
    if let Err(error) = &served {
        log::error!(event = "stopped"; "{}", logging::causes(error.as_ref()));
    }
    logging::flush();
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn settings_or_exit() -> Result<Settings, ExitCode> {
    Settings::from_environment().map_err(|errors| {
        for error in errors {
            eprintln!("{error}");
        }
        ExitCode::from(EXIT_CONFIG)
    })
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    for warning in &settings.warnings {
        log::warn!(event = "odd_setting"; "{warning}");
    }
    // Bound before anything else: the Functions host asks until the port answers.
    let listener = bind(settings.listen, "LISTEN")?;
    let url = format!("http://{}", listener.local_addr()?);
    log::info!(event = "listening", url = url.as_str(), version = env!("CARGO_PKG_VERSION"); "listening on {url}");
    outlive_large_files()?;
    let (store, clock) = (startup::open_store(&settings)?, Clock::default());
    let (mailer, mail_worker) = startup::start_mail(&settings, &url, &store, &clock)?;
    let app = startup::assemble(&settings, store.clone(), mailer, clock)?;
    let metrics_server = serve_metrics(&settings, &app)?;
    let server = gateway::serve(listener, app)?;
    tell_what_to_try(&settings, &url, store.as_ref());
    server.await?;
    if let Some(metrics_server) = metrics_server {
        metrics_server.stop(false).await;
    }
    mail_worker.stop().await;
    store.close().await;
    log::info!(event = "stopped"; "stopped");
    Ok(())
}

/// Has a write beyond the limit of a file's size fail, as it does on a full disk, where the signal would end the process.
fn outlive_large_files() -> io::Result<()> {
    /// The same on Linux and macOS.
    const SIGXFSZ: i32 = 25;
    // Whoever listens for a signal is not ended by it, from then on.
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}

/// Listens on the address that a setting names.
fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let advice = if error.kind() == ErrorKind::AddrInUse { "end what has it, or set another" } else { "set another" };
        format!("cannot listen on {address}: {error}; {advice} {setting}").into()
    })
}

/// Begins to tell the metrics, if they are asked for.
fn serve_metrics(settings: &Settings, app: &App) -> Result<Option<ServerHandle>, Failure> {
    let Some((address, metrics)) = settings.metrics_listen.zip(app.metrics.clone()) else { return Ok(None) };
    let listener = bind(address, "METRICS_LISTEN")?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    log::info!(event = "metrics", url = url.as_str(); "metrics on {url}");
    let server = gateway::serve_metrics(listener, metrics)?;
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok(Some(handle))
}

/// Tells in a line each what works and what there is to do; the exit code tells whether there is anything.
fn diagnose() -> ExitCode {
    let (settings, errors) = Settings::examine_environment();
    print(settings.warnings.iter().map(|warning| format!("note    {warning}\n")));
    print(errors.iter().map(|error| format!("to do   {error}\n")));
    let findings = actix_web::rt::System::new().block_on(check::check(&settings, &errors));
    print(findings.iter().map(|finding| format!("{finding}\n")));
    if errors.is_empty() && findings.iter().all(check::Finding::is_ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the server of these settings, which runs already, is well: the exit code tells a container or a supervisor.
fn ask_for_health() -> ExitCode {
    let listen = match settings_or_exit() {
        Ok(settings) => settings.listen,
        Err(code) => return code,
    };
    match health_check::is_healthy(listen) {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => eprintln!("the server on {listen} is not well; its log says why"),
        Err(error) => eprintln!("the server on {listen} does not answer: {error}"),
    }
    ExitCode::FAILURE
}

fn tell_what_to_try(settings: &Settings, url: &str, store: &dyn Store) {
    let mode = format!("{:?}", settings.mode).to_lowercase();
    let kind = store.kind().as_str();
    log::info!(event = "started", mode = mode.as_str(), store = kind; "{mode} mode, {kind} store");
    if settings.mode == Mode::Development && !settings.is_hosted {
        log::info!(event = "hint"; "open {url}/api/app to chat, {url}/api/docs to read and try the routes");
    }
}

fn answer_argument(argument: &str) -> ExitCode {
    match argument {
        "--version" | "-V" => print([concat!("chat-functions ", env!("CARGO_PKG_VERSION"), "\n").to_owned()]),
        "--help" | "-h" => {
            let introduction = "A chat backend over HTTP. Without an argument it serves; --check tries the store and the mail server that the settings name; \
                 --health asks the server that runs with them whether it is well.\n\nThese variables of the environment, or of a file .env, are read:\n\n";
            let table = VARIABLES
                .iter()
                .map(|variable| format!("{}\n    {}\n    default: {}\n\n", variable.name, variable.meaning, variable.default));
            print(std::iter::once(introduction.to_owned()).chain(table));
        }
        other => {
            eprintln!("unknown argument {other}; see --help");
            return ExitCode::from(EXIT_USAGE);
        }
    }
    ExitCode::SUCCESS
}

/// Writes to standard output. A reader that has had enough, such as `head`, is no mistake.
fn print(parts: impl IntoIterator<Item = String>) {
    let _enough = parts.into_iter().try_for_each(|part| io::stdout().write_all(part.as_bytes()));
}
