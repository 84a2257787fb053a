//! The user object as its owner sees it, in the answers to register, log-in and profile.

use serde::Serialize;
use utoipa::ToSchema;

use super::{OnlineStatus, at_most};
use crate::domain::{ChatId, Email, Timestamp, UserId};
use crate::store::{MAX_FRIENDS, MessagesFrom, User};

/// A person as they see themselves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnUser {
    id: UserId,
    #[schema(examples("ann"))]
    username: String,
    /// Empty where an account has lost its address to another and has not set one since.
    #[schema(examples("ann@example.com"))]
    email: String,
    is_email_verified: bool,
    /// The address that the account moves to when the link sent there is used; until then the present one counts.
    #[schema(required, value_type = Option<Email>)]
    pending_email: Option<String>,
    #[schema(schema_with = at_most::<UserId, MAX_FRIENDS>)]
    friends: Vec<UserId>,
    /// The latest chats, the one with the newest message first.
    #[schema(schema_with = at_most::<ChatId, { OwnUser::MAX_CHATS }>)]
    chats: Vec<ChatId>,
    #[serde(rename = "online_status")]
    online_status: OnlineStatus,
    #[serde(rename = "last_login")]
    #[schema(required)]
    last_login: Option<Timestamp>,
    #[schema(value_type = MessagesFrom)]
    messages_from: &'static str,
    created_at: Timestamp,
}

impl OwnUser {
    /// Chats that the object lists, latest first.
    pub const MAX_CHATS: usize = 1_000;

    /// The object of a person who is making a request `now`, which is what being online means.
    #[must_use]
    pub fn new(user: User, chats: Vec<ChatId>, now: Timestamp) -> Self {
        let pending = user.pending_email.filter(|pending| now < pending.until);
        Self {
            pending_email: pending.map(|pending| pending.address.as_str().to_owned()),
            id: user.id,
            username: user.username.as_str().to_owned(),
            email: user.email.as_str().to_owned(),
            is_email_verified: user.is_email_verified,
            friends: user.friends,
            chats,
            online_status: OnlineStatus::Online,
            last_login: user.last_login,
            messages_from: user.messages_from.as_str(),
            created_at: user.created_at,
        }
    }
}
