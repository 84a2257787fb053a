//! A chat backend over HTTP: accounts, friends and one-to-one messages.
//!
//! Read from the inside out; each layer knows only those before it.
//! - [`domain`]: the checked value types and the clock.
//! - [`store`]: what is kept, on MongoDB or in an SQLite file: a trait per service, for the outbox and for shared counters.
//! - [`mail`]: letters, and how they leave; what services order waits in the store until it is sent.
//! - [`http`]: the error envelope, bodies, queries, the table of endpoints.
//! - [`rate_limits`]: who is calling from where, and how often what may happen.
//! - [`identity`]: passwords, tokens, the check of who is calling, and the log of what they do.
//! - [`auth`], [`users`], [`chat`]: the three services. They never call each other.
//! - [`gateway`]: the entry to all of them; limits, ids, log lines, health, the server.
//! - [`settings`] and [`logging`]: how a process is told what to do, and how it tells what it does.
//! - [`startup`] puts the parts of a process together; [`check`] tries what its settings name, and [`health_check`] asks
//!   one that runs how it is.

pub mod auth;
pub mod chat;
pub mod check;
pub mod domain;
pub mod gateway;
pub mod health_check;
pub mod http;
pub mod identity;
pub mod logging;
pub mod mail;
pub mod rate_limits;
pub mod settings;
pub mod startup;
pub mod store;
pub mod users;
