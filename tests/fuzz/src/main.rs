//! Fuzz targets: each takes any bytes from outside and must come to a value or a refusal. libFuzzer mutates what stands in
//! `corpus/NAME` and keeps what reaches new code; a panic, a broken promise or 30 s of silence is a finding. Run by `scripts/fuzz`.

#![no_main]
#![allow(clippy::expect_used, clippy::panic, reason = "a finding is a panic")]

mod files;
mod headers;
mod mail;
mod request;
mod texts;
mod token;

use std::sync::LazyLock;

/// Takes bytes from outside.
type Target = fn(&[u8]);

/// The targets by their names, which are those of the folders in `corpus`.
const TARGETS: [(&str, Target); 8] = [
    ("cursor", texts::cursor),
    ("dot_env", files::dot_env),
    ("headers", headers::headers),
    ("mail", mail::mail),
    ("request", request::request),
    ("settings", files::settings),
    ("texts", texts::texts),
    ("token", token::token),
];

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names the target");
    TARGETS.iter().find(|(target, _)| *target == name).unwrap_or_else(|| panic!("there is no target {name}")).1
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (*CHOSEN)(bytes));
