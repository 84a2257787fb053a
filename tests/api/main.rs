//! The product through its HTTP contract: the real program, a real database, a client.
//!
//! Every test runs in several ways: on each store with the program alone, with two instances on one database, and behind
//! the Functions host stand-in. Tests
//! share the server of their way and use people of their own; one that needs other settings starts a server of its own.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod accessibility;
mod app;
mod app_people;
mod audit;
mod authorization;
mod blocks;
mod canary;
mod change_password;
mod chat_idempotency;
mod chat_messages;
mod chat_send;
mod check;
mod claims;
mod client;
mod context;
mod conversations;
mod database;
mod delete_account;
mod email_verification;
mod export;
mod friend_list;
mod friends;
mod gapless;
mod gateway;
mod json_bodies;
mod key_rotation;
mod limits;
mod login;
mod metrics;
mod no_oracle;
mod openapi;
mod original_client;
mod pages;
mod password_reset;
mod passwords;
mod poll_delivery;
mod poll_limits;
mod poll_revocation;
mod polls;
mod privacy;
mod profile;
mod rate_limits;
mod read_marks;
mod readme;
mod register;
mod registration_verified;
mod revocation;
mod search;
mod session_list;
mod sessions;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
mod terminal_chat;
mod token_rules;
mod unread;
mod white_space;
mod window;

use std::process::ExitCode;

use context::Context;
use support::harness::{self, Way};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ways = [
        Way::new("sqlite", Context::on_sqlite),
        Way::on_mongodb("mongodb", |test| test.is_of("original_client"), Context::on_mongodb),
        Way::on_mongodb("instances", |test| test.is_of("original_client"), Context::on_two_instances),
        Way::new("host", Context::behind_the_host),
    ];
    let tests = [
        original_client::TESTS,
        readme::TESTS,
        register::TESTS,
        white_space::TESTS,
        login::TESTS,
        sessions::TESTS,
        session_list::TESTS,
        email_verification::TESTS,
        registration_verified::TESTS,
        change_password::TESTS,
        password_reset::TESTS,
        takeover::TESTS,
        claims::TESTS,
        delete_account::TESTS,
        revocation::TESTS,
        key_rotation::TESTS,
        no_oracle::TESTS,
        profile::TESTS,
        friends::TESTS,
        friend_list::TESTS,
        blocks::TESTS,
        search::TESTS,
        export::TESTS,
        chat_send::TESTS,
        chat_idempotency::TESTS,
        chat_messages::TESTS,
        gapless::TESTS,
        conversations::TESTS,
        read_marks::TESTS,
        polls::TESTS,
        poll_delivery::TESTS,
        poll_limits::TESTS,
        poll_revocation::TESTS,
        authorization::TESTS,
        token_rules::TESTS,
        gateway::TESTS,
        openapi::TESTS,
        json_bodies::TESTS,
        limits::TESTS,
        unread::TESTS,
        metrics::TESTS,
        passwords::TESTS,
        pages::TESTS,
        app::TESTS,
        app_people::TESTS,
        accessibility::TESTS,
        privacy::TESTS,
        audit::TESTS,
        settings::TESTS,
        check::TESTS,
        terminal_chat::TESTS,
        rate_limits::guessing::TESTS,
        rate_limits::mail::TESTS,
        rate_limits::registrations::TESTS,
        rate_limits::clients::TESTS,
        rate_limits::traffic::TESTS,
        rate_limits::outages::TESTS,
    ];
    harness::run(&runtime, &ways, &tests, Context::tear_down)
}
