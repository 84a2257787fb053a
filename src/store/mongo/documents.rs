//! What the collections hold. Field names are part of the data: renaming one is a migration.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, Uuid, doc};
use serde::{Deserialize, Serialize};

use crate::domain::{ChatId, Email, Session, SessionHash, Timestamp, UserId, Username};
use crate::store::{Message, MessagesFrom, NewAccount, User};

/// The collections.
pub(super) const USERS: &str = "users";
pub(super) const CHATS: &str = "chats";
pub(super) const MESSAGES: &str = "messages";

/// A person with all that is theirs. The arrays are bounded by the updates that fill them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    username: String,
    username_key: String,
    email: String,
    email_key: String,
    is_email_verified: bool,
    password_hash: String,
    sessions: Vec<SessionDocument>,
    friends: Vec<FriendDocument>,
    blocks: Vec<Uuid>,
    messages_from: String,
    last_login: Option<DateTime>,
    last_seen: Option<DateTime>,
    created_at: DateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionDocument {
    /// The hash of the session's id.
    id: Binary,
    created_at: DateTime,
    pub(super) last_used_at: DateTime,
    expires_at: DateTime,
    user_agent: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FriendDocument {
    id: Uuid,
    added_at: DateTime,
}

/// A person as they see themselves, with at most the session that was asked for.
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
}

/// What a [`ProfileDocument`] is read with; the sessions are the caller's to add.
pub(super) fn profile_fields() -> Document {
    doc! { "username": 1, "email": 1, "isEmailVerified": 1, "friends": 1, "messagesFrom": 1, "lastLogin": 1, "createdAt": 1 }
}

/// A message. Its key is its place.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageDocument {
    #[serde(rename = "_id")]
    id: MessageKey,
    sender: Uuid,
    recipient: Uuid,
    content: String,
    sent_at: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct MessageKey {
    chat: Binary,
    seq: i64,
}

/// A value in a document that the program cannot have written.
#[derive(Debug, thiserror::Error)]
#[error("a document of {collection} has an impossible {field}")]
pub(super) struct Undecodable {
    collection: &'static str,
    field: &'static str,
}

impl UserDocument {
    pub(super) fn new(account: &NewAccount) -> Self {
        let user = &account.user;
        Self {
            id: user_key(user.id),
            username: user.username.as_str().to_owned(),
            username_key: user.username.key().as_str().to_owned(),
            email: user.email.as_str().to_owned(),
            email_key: user.email.key().as_str().to_owned(),
            is_email_verified: user.is_email_verified,
            password_hash: account.password_hash.expose().to_owned(),
            sessions: vec![SessionDocument::new(&account.session)],
            friends: Vec::new(),
            blocks: Vec::new(),
            messages_from: user.messages_from.as_str().to_owned(),
            last_login: user.last_login.map(date),
            last_seen: user.last_login.map(date),
            created_at: date(user.created_at),
        }
    }
}

impl SessionDocument {
    pub(super) fn new(session: &Session) -> Self {
        Self {
            id: session_key(session.hash),
            created_at: date(session.created_at),
            last_used_at: date(session.last_used_at),
            expires_at: date(session.expires_at),
            user_agent: session.user_agent.clone(),
        }
    }

    pub(super) fn is_of(&self, hash: SessionHash) -> bool {
        self.id.bytes == hash.to_bytes()
    }

    pub(super) fn into_session(self) -> Result<Session, Undecodable> {
        let hash = self.id.bytes.try_into().map_err(|_length| Undecodable { collection: USERS, field: "session" })?;
        Ok(Session {
            hash: SessionHash::from_bytes(hash),
            created_at: time(self.created_at),
            last_used_at: time(self.last_used_at),
            expires_at: time(self.expires_at),
            user_agent: self.user_agent,
        })
    }
}

impl ProfileDocument {
    pub(super) fn into_user(self) -> Result<User, Undecodable> {
        Ok(User {
            id: user_id(self.id),
            username: Username::from_stored(self.username),
            email: Email::from_stored(self.email),
            is_email_verified: self.is_email_verified,
            friends: self.friends.iter().map(|friend| user_id(friend.id)).collect(),
            messages_from: messages_from(&self.messages_from)?,
            last_login: self.last_login.map(time),
            created_at: time(self.created_at),
        })
    }
}

impl MessageDocument {
    pub(super) fn new(message: &Message, client_id: Option<&str>) -> Self {
        Self {
            id: MessageKey { chat: chat_key(message.chat), seq: stored_seq(message.seq) },
            sender: user_key(message.sender),
            recipient: user_key(message.recipient()),
            content: message.content.clone(),
            sent_at: date(message.sent_at),
            client_id: client_id.map(str::to_owned),
        }
    }

    pub(super) fn into_message(self) -> Result<Message, Undecodable> {
        let impossible = |field| Undecodable { collection: MESSAGES, field };
        Ok(Message {
            chat: chat_id(&self.id.chat).ok_or_else(|| impossible("chat"))?,
            seq: u64::try_from(self.id.seq).map_err(|_negative| impossible("seq"))?,
            sender: user_id(self.sender),
            content: self.content,
            sent_at: time(self.sent_at),
        })
    }
}

/// The key of the message at a place.
pub(super) fn message_key(chat: ChatId, seq: u64) -> Document {
    doc! { "chat": chat_key(chat), "seq": stored_seq(seq) }
}

/// A number as BSON keeps it. Numbers beyond its range are beyond any message.
pub(super) fn stored_seq(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(super) fn user_key(id: UserId) -> Uuid {
    Uuid::from_bytes(id.to_bytes())
}

pub(super) fn user_id(key: Uuid) -> UserId {
    UserId::from_bytes(key.bytes())
}

pub(super) fn session_key(hash: SessionHash) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: hash.to_bytes().to_vec() }
}

pub(super) fn chat_key(chat: ChatId) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: chat.to_bytes().to_vec() }
}

pub(super) fn chat_id(key: &Binary) -> Option<ChatId> {
    key.bytes.as_slice().try_into().ok().and_then(ChatId::from_bytes)
}

pub(super) fn date(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_millis())
}

pub(super) fn time(date: DateTime) -> Timestamp {
    Timestamp::from_millis(date.timestamp_millis())
}

pub(super) fn messages_from(text: &str) -> Result<MessagesFrom, Undecodable> {
    MessagesFrom::parse(text).ok_or(Undecodable { collection: USERS, field: "messagesFrom" })
}

/// A document as a value inside another one.
pub(super) fn to_bson<T: Serialize>(value: &T) -> mongodb::error::Result<Bson> {
    Ok(mongodb::bson::serialize_to_bson(value)?)
}
