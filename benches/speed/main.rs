//! How fast the product is, as ratios of what is measured in one run.
//!
//! `scripts/bench` runs all of it; `scripts/bench floor polls` runs parts; with `--short` it only proves that it works. What is
//! measured through HTTP is the real program, in processes of its own; the parts `writes` and `growth` ask the stores themselves. It
//! prints what is aimed at, and writes all tables to `target/speed.md`, as `speed.json` and as the chart `speed.svg`; with `--publish`,
//! which takes no parts, into `docs/`.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "a bench fails by panicking")]

#[path = "../../tests/support/accounts.rs"]
mod accounts;
mod bare_handler;
mod bare_server;
mod chart;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/database_server.rs"]
mod database_server;
mod floor;
mod growth;
mod gunicorn;
mod host;
#[path = "../../tests/support/hosted.rs"]
mod hosted;
mod lists;
mod load;
mod logins;
mod mongo_seed;
#[path = "../../tests/support/mongodb.rs"]
mod mongodb_server;
#[path = "../../tests/support/not_run.rs"]
mod not_run;
mod numbers;
mod operations;
mod original;
mod people;
mod polls;
mod process;
mod report;
mod seed;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/server.rs"]
mod server;
mod site;
mod start;
mod turns;
mod writes;

use std::path::Path;

use futures_util::FutureExt as _;
use report::Report;

/// The allocator of the product, so that the bare server has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // Cargo itself adds the one that is left out.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some(bare_server::ARGUMENT) => return bare_server::run(),
        Some(bare_handler::ARGUMENT) => return bare_handler::run(),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(measure(&arguments));
    println!("\n{}", report.to_summary());
    keep(&report, if arguments == ["--publish"] { "docs" } else { "target" });
}

/// Measures all parts, or those that are named.
async fn measure(arguments: &[String]) -> Report {
    let is_short = arguments.iter().any(|argument| argument == "--short");
    // In the order in which they are read. None begins before it is waited for.
    let mut parts = vec![
        ("floor", floor::measure(is_short).boxed_local()),
        ("logins", logins::measure(is_short).boxed_local()),
        ("writes", writes::measure(is_short).boxed_local()),
        ("polls", polls::measure(is_short).boxed_local()),
        ("lists", lists::measure(is_short).boxed_local()),
        ("start", start::measure(is_short).boxed_local()),
        ("growth", growth::measure(is_short).boxed_local()),
        ("host", host::measure(is_short).boxed_local()),
        ("original", original::measure(is_short).boxed_local()),
    ];
    let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = named.iter().find(|name| parts.iter().all(|(part, _)| part != *name)) {
        panic!("there is no part {unknown}");
    }
    parts.retain(|(part, _)| named.is_empty() || named.contains(part));
    let mut report = Report::new(format!("scripts/bench {}", arguments.join(" ")).trim_end());
    for (_, part) in parts {
        report.sections.extend(part.await);
    }
    report
}

/// Writes the report into files in a folder of the repository.
fn keep(report: &Report, folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let json = serde_json::to_string_pretty(report).expect("JSON");
    for (name, text) in [("speed.json", json + "\n"), ("speed.md", report.to_markdown()), ("speed.svg", chart::draw(report))] {
        std::fs::write(folder.join(name), text).expect("written");
    }
}
