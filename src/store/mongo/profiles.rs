//! People as they see themselves.

use mongodb::bson::{DateTime, Document, Uuid, doc};
use serde::Deserialize;

use super::addresses::{PendingDocument, RecoveryDocument};
use super::documents::{FriendDocument, SessionDocument, Undecodable, messages_from, time, user_id};
use super::sessions::by_latest_use;
use crate::domain::{Email, Username};
use crate::store::{AccountData, User};

/// A person as they see themselves, with what else was asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    username: String,
    email: String,
    is_email_verified: bool,
    friends: Vec<FriendDocument>,
    messages_from: String,
    last_login: Option<DateTime>,
    created_at: DateTime,
    #[serde(default)]
    pub(super) sessions: Vec<SessionDocument>,
    #[serde(default)]
    blocks: Vec<Uuid>,
    last_seen: Option<DateTime>,
    pending_email: Option<PendingDocument>,
    #[serde(default)]
    recovery: Vec<RecoveryDocument>,
    recovery_until: Option<DateTime>,
}

/// What a [`ProfileDocument`] is read with for a [`User`]; what else there is, is the caller's to add.
pub(super) fn profile_fields() -> Document {
    let of_person = doc! { "username": 1, "friends": 1, "messagesFrom": 1, "lastLogin": 1, "createdAt": 1 };
    of_person.into_iter().chain(doc! { "email": 1, "isEmailVerified": 1, "pendingEmail": 1 }).collect()
}

impl ProfileDocument {
    pub(super) fn into_user(self) -> Result<User, Undecodable> {
        Ok(User {
            id: user_id(self.id),
            username: Username::from_stored(self.username),
            email: Email::from_stored(self.email),
            is_email_verified: self.is_email_verified,
            pending_email: self.pending_email.map(PendingDocument::into_pending),
            friends: self.friends.iter().map(|friend| user_id(friend.id)).collect(),
            messages_from: messages_from(&self.messages_from)?,
            last_login: self.last_login.map(time),
            created_at: time(self.created_at),
        })
    }

    pub(super) fn into_account_data(mut self) -> Result<AccountData, Undecodable> {
        Ok(AccountData {
            last_seen: self.last_seen.map(time),
            recovery: std::mem::take(&mut self.recovery).into_iter().map(|way| way.into_recovery().address).collect(),
            recovery_until: self.recovery_until.map(time),
            sessions: by_latest_use(std::mem::take(&mut self.sessions))?,
            friends: self.friends.iter().map(|friend| (user_id(friend.id), time(friend.added_at))).collect(),
            blocks: self.blocks.iter().copied().map(user_id).collect(),
            user: self.into_user()?,
        })
    }
}
