//! The answer to a change that has nothing else to tell.

use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use serde::Serialize;
use utoipa::ToSchema;

/// One sentence for a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Confirmation)]
pub struct Message {
    #[schema(examples("Logout successful"))]
    message: &'static str,
}

impl Message {
    /// The answer with a sentence.
    #[must_use]
    pub fn new(message: &'static str) -> web::Json<Self> {
        web::Json(Self { message })
    }
}

/// The answer to what is done behind it: 202 with a sentence.
#[derive(Debug)]
pub struct Accepted(Message);

impl Accepted {
    /// The answer with a sentence.
    #[must_use]
    pub fn new(message: &'static str) -> Self {
        Self(Message { message })
    }

    /// The answer of a handler that has several.
    #[must_use]
    pub fn into_response(self) -> HttpResponse {
        HttpResponse::Accepted().json(self.0)
    }
}

impl Responder for Accepted {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.into_response()
    }
}
