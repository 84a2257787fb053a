//! The id of a request, for whoever speaks of it.

use actix_web::{HttpMessage as _, HttpRequest};

/// The id, put into the request's extensions by the gateway.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// The id of a request; `-` where no gateway gave one.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get().cloned().unwrap_or_else(|| Self("-".to_owned()))
    }
}
