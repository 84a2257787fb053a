//! The user object as its owner sees it, in the answers to register, log-in and profile.

use serde::Serialize;

use crate::domain::{ChatId, Timestamp, UserId};
use crate::store::User;

/// A person as they see themselves.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnUser {
    id: UserId,
    username: String,
    email: String,
    is_email_verified: bool,
    friends: Vec<UserId>,
    chats: Vec<ChatId>,
    #[serde(rename = "online_status")]
    online_status: &'static str,
    #[serde(rename = "last_login")]
    last_login: Option<Timestamp>,
    messages_from: &'static str,
    created_at: Timestamp,
}

impl OwnUser {
    /// Chats that the object lists, latest first.
    pub const MAX_CHATS: usize = 1_000;

    /// The object of a person who is making a request, which is what being online means.
    #[must_use]
    pub fn new(user: User, chats: Vec<ChatId>) -> Self {
        Self {
            id: user.id,
            username: user.username.as_str().to_owned(),
            email: user.email.as_str().to_owned(),
            is_email_verified: user.is_email_verified,
            friends: user.friends,
            chats,
            online_status: "online",
            last_login: user.last_login,
            messages_from: user.messages_from.as_str(),
            created_at: user.created_at,
        }
    }
}
