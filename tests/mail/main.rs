//! Mail from the order to the mail server, with real SMTP sessions, on each store.
//!
//! Each test has a store of its own, since whatever is due is everybody's, and a clock that it moves.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod addresses;
mod delivery;
mod log;
mod outage;
mod sessions;
mod setup;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::harness::{self, Way};
use support::mongodb::TestDatabase;

/// Which store the tests have theirs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    Sqlite,
    Mongodb,
}

fn main() -> ExitCode {
    log::keep();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ways = [
        Way::new("sqlite", async || Ok(Context::Sqlite)),
        Way::on_mongodb("mongodb", |_none| false, async || TestDatabase::new().map(|_usable| Context::Mongodb)),
    ];
    harness::run(&runtime, &ways, &[addresses::TESTS, sessions::TESTS, delivery::TESTS, outage::TESTS], |_context| async {})
}
