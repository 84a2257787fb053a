//! The real program behind the stand-in for the Functions host.

use std::path::Path;
use std::time::Duration;

use functions_host::{FunctionsHost, HostOptions};

use super::server::{EXECUTABLE, Environment};

/// How long the handler may take to be ready, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts it as `func start` does, with the repository's own host.json, function folders and local settings, and returns when it is
/// ready. Its data is in `data`.
pub async fn start(environment: &Environment, data: &Path) -> Result<FunctionsHost, String> {
    let environment = environment.clone().with("DATA_DIR", data.to_string_lossy());
    let environment = environment.without("APP_ENV").without("LISTEN").without("LOG_FORMAT");
    let options = HostOptions {
        environment: environment.variables().to_vec(),
        executable: Some(EXECUTABLE.into()),
        ..HostOptions::new(Path::new(env!("CARGO_MANIFEST_DIR")))
    };
    let host = FunctionsHost::start(options).await.map_err(|error| error.to_string())?;
    if host.ready(PATIENCE).await { Ok(host) } else { Err(format!("the handler did not become ready: {:?}", host.handler_log())) }
}
