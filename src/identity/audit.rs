//! Log lines that tell who did what to whom: what people may have to account for, or to look into.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::domain::{Net, UserId};
use crate::http::RequestId;
use crate::rate_limits::ClientNet;

/// Who acts, as far as it is known and may be told.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Somebody with an account.
    User(UserId),
    /// Whoever typed an address, by its pseudonym.
    Address(String),
    /// Nobody that could be named.
    Nobody,
}

/// Writes the events of one request, each with its id and where it came from.
#[derive(Debug, Clone)]
pub struct Audit {
    request_id: String,
    net: Net,
}

impl Audit {
    /// Notes an event of somebody's own account.
    pub fn note(&self, event: &'static str, actor: &Actor) {
        self.write(event, actor, "-");
    }

    /// Notes an event that concerns somebody else, or one of several things such as a reason.
    pub fn note_about(&self, event: &'static str, actor: &Actor, target: &impl ToString) {
        self.write(event, actor, &target.to_string());
    }

    /// The events of a request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        Self { request_id: RequestId::of(request).0, net: ClientNet::of(request).0 }
    }

    fn write(&self, event: &'static str, actor: &Actor, target: &str) {
        let actor = match actor {
            Actor::User(id) => id.to_string(),
            Actor::Address(pseudonym) => format!("address {pseudonym}"),
            Actor::Nobody => "-".to_owned(),
        };
        let sentence = event.replace('_', " ");
        log::info!(
            event,
            actor = actor.as_str(),
            target = target,
            request_id = self.request_id.as_str(),
            net:display = self.net;
            "{sentence}"
        );
    }
}

impl FromRequest for Audit {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
