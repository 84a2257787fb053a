//! What the collections hold. Field names are part of the data: renaming one is a migration.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, Uuid, doc};
use serde::{Deserialize, Serialize};

use super::outbox::MailDocument;
use crate::domain::{ChatId, Session, SessionHash, Timestamp, UserId};
use crate::store::{HOLD_REGISTRATION_MILLIS, Message, MessagesFrom, NewAccount, NewMail, Registration};

/// The collections.
pub(super) const USERS: &str = "users";
pub(super) const CHATS: &str = "chats";
pub(super) const MESSAGES: &str = "messages";
pub(super) const THROTTLES: &str = "throttles";

/// When something was last changed that others wait for, by the server's clock: the last message or a read mark of a chat, and
/// a person's sessions or blocks. Other processes find the changes by it.
pub(super) const CHANGED_AT: &str = "changedAt";
pub(super) const ACCESS_CHANGED_AT: &str = "accessChangedAt";

/// A person with all that is theirs, as they come into being. The arrays are bounded by the updates that fill them.
///
/// Later there may be `mailTokens`, a `pendingEmail`, `recovery` with `recoveryUntil`, and an `accessChangedAt` too. A document with `heldUntil` is nobody: it only
/// keeps others from taking its user name, and is a registration or what is left of a deleted account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    username: String,
    username_key: String,
    email: String,
    email_key: String,
    /// What nobody else can have: the key of the address, later those of the ways back too. Absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    address_keys: Option<[String; 1]>,
    is_email_verified: bool,
    password_hash: String,
    sessions: Vec<SessionDocument>,
    friends: Vec<FriendDocument>,
    blocks: Vec<Uuid>,
    messages_from: String,
    last_login: Option<DateTime>,
    last_seen: Option<DateTime>,
    created_at: DateTime,
    mail: Vec<MailDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_due_at: Option<DateTime>,
    mail_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<DateTime>,
    /// The key of the address that a registration is to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_email_key: Option<String>,
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
    pub(super) id: Uuid,
    pub(super) added_at: DateTime,
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

impl Undecodable {
    pub(super) fn new(collection: &'static str, field: &'static str) -> Self {
        Self { collection, field }
    }
}

impl UserDocument {
    /// Somebody with a first session.
    pub(super) fn of_account(account: &NewAccount, mail: Option<&NewMail>) -> Self {
        let user = &account.user;
        Self {
            id: user_key(user.id),
            username: user.username.as_str().to_owned(),
            username_key: user.username.key().as_str().to_owned(),
            email: user.email.as_str().to_owned(),
            email_key: user.email.key().as_str().to_owned(),
            address_keys: Some([user.email.key().as_str().to_owned()]),
            is_email_verified: user.is_email_verified,
            password_hash: account.password_hash.expose().to_owned(),
            sessions: vec![SessionDocument::new(&account.session)],
            friends: Vec::new(),
            blocks: Vec::new(),
            messages_from: user.messages_from.as_str().to_owned(),
            last_login: user.last_login.map(date),
            last_seen: user.last_login.map(date),
            created_at: date(user.created_at),
            mail: mail.map(MailDocument::new).into_iter().collect(),
            mail_due_at: mail.map(|mail| date(mail.at)),
            mail_count: mail.map_or(0, |_| 1),
            held_until: None,
            pending_email_key: None,
        }
    }

    /// Nobody yet.
    pub(super) fn of_registration(registration: &Registration, mail: &NewMail) -> Self {
        let email = &registration.email;
        Self {
            id: user_key(registration.id),
            username: registration.username.as_str().to_owned(),
            username_key: registration.username.key().as_str().to_owned(),
            email: email.as_str().to_owned(),
            email_key: format!("pending:{}", registration.id),
            address_keys: None,
            is_email_verified: false,
            password_hash: registration.password_hash.expose().to_owned(),
            sessions: Vec::new(),
            friends: Vec::new(),
            blocks: Vec::new(),
            messages_from: MessagesFrom::default().as_str().to_owned(),
            last_login: None,
            last_seen: None,
            created_at: date(registration.created_at),
            mail: vec![MailDocument::new(mail)],
            mail_due_at: Some(date(mail.at)),
            mail_count: 1,
            held_until: Some(date(registration.created_at.plus_millis(HOLD_REGISTRATION_MILLIS))),
            pending_email_key: Some(email.key().as_str().to_owned()),
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
