//! The table of endpoints: what a service offers, and who may call it.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, Route, web};

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever carries a valid token. What every endpoint has that does not say otherwise.
    Bearer,
    /// Anyone.
    Open,
}

/// One method of one path.
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path, from the root.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// The handler.
    pub route: Route,
}

impl Endpoint {
    /// An endpoint for holders of a token.
    pub fn new<F, Args>(method: Method, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route = web::route().method(method.clone()).to(handler);
        Self { method, path, access: Access::Bearer, route }
    }

    /// The same endpoint for anyone.
    #[must_use]
    pub fn open(self) -> Self {
        Self { access: Access::Open, ..self }
    }
}
