//! How fast the product is, as ratios of what is measured in one run.
//!
//! `scripts/bench` runs all of it; `scripts/bench floor polls` runs parts; with `--short` it only proves that it works. Everything goes
//! through the real program, in processes of its own. It prints what is aimed at, and writes all tables to `target/speed.md`, as
//! `speed.json` and as the chart `speed.svg`; with `--publish` into `docs/`.

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
mod load;
mod logins;
mod mongo_seed;
#[path = "../../tests/support/mongodb.rs"]
mod mongodb_server;
mod numbers;
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

use numbers::{is_short, is_wanted};
use report::{Report, Section};

/// How to run all of it.
const COMMAND: &str = "scripts/bench";

/// The allocator of the product, so that the bare server has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some(bare_server::ARGUMENT) => return bare_server::run(),
        Some(bare_handler::ARGUMENT) => return bare_handler::run(),
        _ => {}
    }
    let is_short = is_short();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(measure(is_short));
    println!("\n{}", report.to_summary());
    keep(&report);
}

/// Writes the report into files.
fn keep(report: &Report) {
    let folder = if std::env::args().any(|argument| argument == "--publish") { "docs" } else { "target" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let json = serde_json::to_string_pretty(report).expect("JSON");
    for (name, text) in [("speed.json", json + "\n"), ("speed.md", report.to_markdown()), ("speed.svg", chart::draw(report))] {
        std::fs::write(folder.join(name), text).expect("written");
    }
}

async fn measure(is_short: bool) -> Report {
    let mut report = Report::new(COMMAND);
    // The order in which they are read.
    let mut sections: Vec<Section> = Vec::new();
    if is_wanted("floor") {
        sections.extend(floor::measure(is_short).await);
    }
    if is_wanted("logins") {
        sections.extend(logins::measure(is_short).await);
    }
    if is_wanted("writes") {
        sections.extend(writes::measure(is_short).await);
    }
    if is_wanted("polls") {
        sections.extend(polls::measure(is_short).await);
    }
    if is_wanted("start") {
        sections.extend(start::measure(is_short).await);
    }
    if is_wanted("growth") {
        sections.extend(growth::measure(is_short).await);
    }
    if is_wanted("host") {
        sections.extend(host::measure(is_short).await);
    }
    if is_wanted("original") {
        sections.extend(original::measure(is_short).await);
    }
    report.sections = sections;
    report
}
