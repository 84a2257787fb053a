//! The product through its HTTP contract: the real program, a real database, a client.
//!
//! Every test runs in several ways: on each store with the program alone, and behind the Functions host stand-in. Tests
//! share the server of their way and use people of their own; one that needs other settings starts a server of its own.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod authorization;
mod canary;
mod chat_idempotency;
mod chat_messages;
mod chat_send;
mod client;
mod context;
mod database;
mod friends;
mod gateway;
mod json_bodies;
mod limits;
mod login;
mod original_client;
mod passwords;
mod privacy;
mod profile;
mod register;
mod sessions;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod token_rules;

use std::process::ExitCode;
use std::sync::Arc;

use context::Context;
use support::harness::{self, Way};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ways = vec![
        Way { name: "sqlite", context: runtime.block_on(Context::on_sqlite()).map(Arc::new) },
        Way { name: "mongodb", context: runtime.block_on(Context::on_mongodb()).map(Arc::new) },
        Way { name: "host", context: runtime.block_on(Context::behind_the_host()).map(Arc::new) },
    ];
    let tests = [
        original_client::TESTS,
        register::TESTS,
        login::TESTS,
        sessions::TESTS,
        profile::TESTS,
        friends::TESTS,
        chat_send::TESTS,
        chat_idempotency::TESTS,
        chat_messages::TESTS,
        authorization::TESTS,
        token_rules::TESTS,
        gateway::TESTS,
        json_bodies::TESTS,
        limits::TESTS,
        passwords::TESTS,
        privacy::TESTS,
        settings::TESTS,
    ];
    harness::run(&runtime, ways, &tests, Context::tear_down)
}
