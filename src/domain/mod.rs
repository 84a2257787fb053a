//! The atoms: value types that exist only when they are valid, and the clock.
//!
//! Each has one fallible constructor; whoever holds a value need not check it again. The limits are constants beside
//! the check, so that the message a person gets and the rule applied cannot differ. No I/O happens here.

mod addresses;
mod client_id;
mod email;
mod hex;
mod ids;
mod mail;
mod message_text;
mod net;
mod password;
mod session;
mod time;
mod username;
mod visible;

pub use addresses::{
    Addresses, LinkId, MAX_RECOVERY_ADDRESSES, Move, MoveRefusal, PendingEmail, RECOVERY_GRACE_MILLIS, RECOVERY_MILLIS, RecoveryAddress,
};
pub use client_id::ClientId;
pub use email::{Email, EmailKey};
pub(crate) use hex::Hex;
pub use ids::{ChatId, MessageId, UserId};
pub use mail::{MailKind, MailPurpose, MailToken, MailTokenHash};
pub use message_text::MessageText;
pub use net::Net;
pub use password::{Password, PasswordHash};
pub use session::{PublicSessionId, Session, SessionHash, SessionId, SessionKey};
pub use time::{Clock, Timestamp};
pub use username::{Username, UsernameKey, UsernamePrefix};

/// Why a value was refused: the rule, as a sentence fragment for a person. It never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    fn new(rule: impl Into<String>) -> Self {
        Self(rule.into())
    }
}
