//! A session as its owner sees it in lists.

use serde::Serialize;

use crate::domain::{Session, Timestamp};

/// What tells one session from another. Neither the token nor what the store keeps of it can be had from it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEntry {
    id: String,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    user_agent: Option<String>,
}

impl From<Session> for SessionEntry {
    fn from(session: Session) -> Self {
        Self {
            id: session.hash.public_id().to_string(),
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            user_agent: session.user_agent,
        }
    }
}
