//! The Chat service: messages between two people, their conversations, and those who wait for news of them.

mod conversations;
mod messages;
mod place;
mod poll;
mod read_mark;
mod send;
mod waiting_room;

use actix_web::http::Method;

use utoipa::OpenApi;

pub use waiting_room::WaitingRoom;

use crate::http::{Endpoint, ErrorCode, Traffic};

/// What the service offers.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::POST, "/api/chat/send", send::send_message).counting_as(Traffic::Send).failing(&[
            ErrorCode::UserNotFound,
            ErrorCode::NotAccepted,
            ErrorCode::IdempotencyMismatch,
        ]),
        Endpoint::new(Method::GET, "/api/chat/messages", messages::list_messages).failing(&[ErrorCode::ChatNotFound]),
        Endpoint::new(Method::GET, "/api/chat/conversations", conversations::list_conversations),
        Endpoint::new(Method::PUT, "/api/chat/conversations", read_mark::mark_read).failing(&[ErrorCode::ChatNotFound]),
    ]
}

/// What the document of the API tells of them.
#[derive(OpenApi)]
#[openapi(
    paths(send::send_message, messages::list_messages, conversations::list_conversations, read_mark::mark_read),
    components(schemas(conversations::ConversationBody))
)]
pub struct Documentation;
