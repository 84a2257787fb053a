//! What is brought to where people use it: the package of the function app, and the script that checks it from outside.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod check;
mod front;
mod packages;
mod services;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use functions_host::{FunctionsHost, HostOptions};
use support::server::Environment;

/// How long a handler may take to be ready, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

/// A script of the repository, to be run.
fn script(name: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The settings of a server with limits, which sends no mail and keeps nothing in the folder it runs in.
fn environment() -> Environment {
    Environment::new().without("LIMITS").with("MAIL_URL", "none")
}

/// Starts what is in a folder as the platform does, and returns when it is ready.
async fn host(folder: &Path, environment: &Environment) -> FunctionsHost {
    let options = HostOptions { environment: environment.variables().to_vec(), ..HostOptions::new(folder) };
    let host = FunctionsHost::start(options).await.expect("a host");
    assert!(host.ready(PATIENCE).await, "the handler did not become ready: {:?}", host.handler_log());
    host
}
