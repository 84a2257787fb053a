//! A chat backend over HTTP: accounts, friends and one-to-one messages.
//!
//! Read from the inside out; each layer knows only those before it.
//! - [`domain`]: the checked value types and the clock.
//! - [`store`]: what is kept, one trait per service, on MongoDB or in an SQLite file.

pub mod domain;
pub mod store;
