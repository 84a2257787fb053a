//! The answer to a change that has nothing else to tell.

use actix_web::web;
use serde::Serialize;

/// One sentence for a person.
#[derive(Debug, Serialize)]
pub struct Message {
    message: &'static str,
}

impl Message {
    /// The answer with a sentence.
    #[must_use]
    pub fn new(message: &'static str) -> web::Json<Self> {
        web::Json(Self { message })
    }
}
