//! Turns the raw fields of a body into checked values and gathers what is wrong with all of them.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{ApiError, ErrorCode};

/// The mistakes found so far, by field.
#[derive(Debug, Default)]
pub struct Fields {
    mistakes: BTreeMap<&'static str, String>,
}

impl Fields {
    /// Nothing wrong yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a field that must be there. `None` means that a mistake was noted.
    pub fn required<R, T, E: Display>(&mut self, name: &'static str, raw: Option<R>, parse: impl FnOnce(R) -> Result<T, E>) -> Option<T> {
        if raw.is_none() {
            self.wrong(name, "is required");
        }
        self.optional(name, raw, parse)
    }

    /// Checks a field that may be absent. `None` means absent or, with a mistake noted, wrong.
    pub fn optional<R, T, E: Display>(&mut self, name: &'static str, raw: Option<R>, parse: impl FnOnce(R) -> Result<T, E>) -> Option<T> {
        raw.and_then(|raw| parse(raw).map_err(|rule| self.wrong(name, rule.to_string())).ok())
    }

    /// Notes a mistake.
    pub fn wrong(&mut self, name: &'static str, rule: impl Into<String>) {
        self.mistakes.insert(name, rule.into());
    }

    /// The failure that names every mistake, if there is one.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.into()) }
    }

    /// The whole of the checked fields, or the failure that names every mistake. `assemble` gives `None` when a required
    /// one is missing, which then was noted.
    pub fn finish_with<T>(self, assemble: impl FnOnce() -> Option<T>) -> Result<T, ApiError> {
        if self.mistakes.is_empty()
            && let Some(whole) = assemble()
        {
            Ok(whole)
        } else {
            Err(self.into())
        }
    }
}

impl From<Fields> for ApiError {
    fn from(fields: Fields) -> Self {
        Self { fields: fields.mistakes, ..ErrorCode::ValidationFailed.into() }
    }
}
