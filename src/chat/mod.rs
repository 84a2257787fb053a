//! The Chat service: messages between two people.

mod messages;
mod send;

use actix_web::http::Method;

use crate::http::{Endpoint, Traffic};

/// What the service offers.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::POST, "/api/chat/send", send::send_message).counting_as(Traffic::Send),
        Endpoint::new(Method::GET, "/api/chat/messages", messages::list_messages),
    ]
}
