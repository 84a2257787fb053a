//! The program: reads the settings, binds, opens the store, serves.

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use chat_functions::domain::Clock;
use chat_functions::gateway::{self, App};
use chat_functions::identity::{PasswordHasher, Tokens, load_or_make_key};
use chat_functions::logging;
use chat_functions::settings::{Mode, Settings, StoreSetting, VARIABLES};
use chat_functions::store::Store;

use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use secrecy::ExposeSecret as _;

/// Password hashing takes and gives back large blocks all the time; the system's allocator would keep them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `sysexits.h` calls a configuration error.
const EXIT_CONFIG: u8 = 78;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    if let Some(argument) = std::env::args().nth(1) {
        return answer_argument(&argument);
    }
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(errors) => {
            for error in errors {
                eprintln!("{error}");
            }
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    logging::start(settings.log_format, &settings.log_filter);
    let served = actix_web::rt::System::new().block_on(serve(settings));
    if let Err(error) = &served {
        log::error!(event = "stopped"; "{}", logging::causes(error.as_ref()));
    }
    logging::flush();
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    // Bound before anything else: the Functions host asks until the port answers.
    let listener = TcpListener::bind(settings.listen).map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
    let url = format!("http://{}", listener.local_addr()?);
    log::info!(event = "listening", url = url.as_str(), version = env!("CARGO_PKG_VERSION"); "listening on {url}");
    let store = open_store(&settings)?;
    let app = App {
        store: Arc::clone(&store),
        clock: Clock::default(),
        tokens: tokens(&settings)?,
        passwords: PasswordHasher::new(settings.password_cost, settings.password_min_chars)?,
        is_https: settings.public_base_url.as_deref().is_some_and(|url| url.starts_with("https://")),
        services: settings.services.clone(),
        cors_origins: settings.cors_origins.clone(),
    };
    let server = gateway::serve(listener, app)?;
    tell_what_to_try(&settings, &url, store.as_ref());
    server.await?;
    store.close().await;
    log::info!(event = "stopped"; "stopped");
    Ok(())
}

fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    Ok(match &settings.store {
        StoreSetting::Embedded => Arc::new(SqliteStore::open(&settings.data_dir)?),
        StoreSetting::MongoDb(uri) => Arc::new(MongoStore::connect(uri.expose_secret())?),
    })
}

fn tokens(settings: &Settings) -> Result<Tokens, Failure> {
    if let Some(secret) = &settings.jwt_secret {
        return Ok(Tokens::new(secret));
    }
    let folder = &settings.data_dir;
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    Ok(Tokens::new(&load_or_make_key(folder)?))
}

fn tell_what_to_try(settings: &Settings, url: &str, store: &dyn Store) {
    let mode = format!("{:?}", settings.mode).to_lowercase();
    let kind = store.kind().as_str();
    log::info!(event = "started", mode = mode.as_str(), store = kind; "{mode} mode, {kind} store");
    if settings.mode == Mode::Development && !settings.is_hosted {
        log::info!(
            event = "hint";
            "try: curl {url}/api/auth/register -H 'Content-Type: application/json' \
             -d '{{\"username\":\"ann\",\"email\":\"ann@example.com\",\"password\":\"tulip-gravel-onion\"}}'"
        );
    }
}

fn answer_argument(argument: &str) -> ExitCode {
    match argument {
        "--version" | "-V" => println!("chat-functions {}", env!("CARGO_PKG_VERSION")),
        "--help" | "-h" => {
            println!("A chat backend over HTTP. It takes no arguments; these variables of the environment, or of a file .env, are read:\n");
            for variable in VARIABLES {
                println!("{}\n    {}\n    default: {}\n", variable.name, variable.meaning, variable.default);
            }
        }
        other => {
            eprintln!("unknown argument {other}; see --help");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}
