//! Serves an application as `func start` does: `functions-host [--app-root DIR] [--port N]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use functions_host::{FunctionsHost, HostOptions};

const USAGE: &str = "usage: functions-host [--app-root DIR] [--port N]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    match FunctionsHost::start(options).await {
        Ok(host) => {
            println!("functions-host, a stand-in for the Functions host, listens on {}; Ctrl-C stops it", host.url());
            let _asked = tokio::signal::ctrl_c().await;
            host.stop().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<HostOptions> {
    let mut options = HostOptions::new(".");
    options.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 7071));
    options.echo_log = true;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--app-root" => options.app_root = arguments.next()?.into(),
            "--port" => options.listen.set_port(arguments.next()?.parse().ok()?),
            _ => return None,
        }
    }
    Some(options)
}
