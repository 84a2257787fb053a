//! The table of endpoints: what a service offers, and who may call it.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};

use super::ErrorCode;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever carries a valid token. What every endpoint has that does not say otherwise.
    Bearer,
    /// Anyone.
    Open,
}

/// Which limit on plain traffic a request counts towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// Messages that a person sends.
    Send,
    /// Other requests of a person. What every endpoint for holders of a token has that does not say otherwise.
    Read,
    /// Searches of a person.
    Search,
    /// Requests without a valid token, by the net they come from. What every open endpoint has.
    Anonymous,
}

impl Traffic {
    /// The name of the limit in headers and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Search => "search",
            Self::Anonymous => "anonymous",
        }
    }
}

/// One method of one path. Where there is GET there is HEAD, which is answered as GET without the body.
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path, from the root.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Which limit its requests count towards, if any.
    pub traffic: Option<Traffic>,
    /// How its handler may fail, besides what every endpoint of its kind has in common.
    pub failures: &'static [ErrorCode],
    /// Whether it is a page: people type such addresses, with a slash at the end too.
    pub is_page: bool,
    /// The handler.
    pub route: Route,
}

/// What reads: GET and HEAD.
#[must_use]
pub fn read_guard() -> impl guard::Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

impl Endpoint {
    /// An endpoint for holders of a token.
    pub fn new<F, Args>(method: Method, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route = if method == Method::GET { web::route().guard(read_guard()) } else { web::route().method(method.clone()) };
        let route = route.to(handler);
        Self { method, path, access: Access::Bearer, traffic: Some(Traffic::Read), failures: &[], is_page: false, route }
    }

    /// The same endpoint for anyone.
    #[must_use]
    pub fn open(self) -> Self {
        Self { access: Access::Open, traffic: Some(Traffic::Anonymous), ..self }
    }

    /// The same endpoint, for anyone, which is a page.
    #[must_use]
    pub fn page(self) -> Self {
        Self { is_page: true, ..self.open() }
    }

    /// The same endpoint, whose requests count as such traffic.
    #[must_use]
    pub fn counting_as(self, traffic: Traffic) -> Self {
        Self { traffic: Some(traffic), ..self }
    }

    /// The same endpoint, whose handler may fail so.
    #[must_use]
    pub fn failing(self, failures: &'static [ErrorCode]) -> Self {
        Self { failures, ..self }
    }

    /// The same endpoint, whose requests count towards no limit.
    #[must_use]
    pub fn uncounted(self) -> Self {
        Self { traffic: None, ..self }
    }
}
