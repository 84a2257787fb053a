//! A session as its owner sees it in lists.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{PublicSessionId, Session, Timestamp};

/// What tells one session from another. Neither the token nor what the store keeps of it can be had from it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionEntry {
    #[schema(value_type = PublicSessionId)]
    id: String,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    /// The client program, as it named itself.
    #[schema(required, examples("curl/8.5.0"))]
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
