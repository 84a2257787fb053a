//! From rows to records. A value that does not decode is an error of its row, never a guess.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Error, Row};

use crate::domain::{ChatId, Email, Session, SessionHash, Timestamp, UserId, Username};
use crate::store::{Message, MessagesFrom, User};

pub(super) fn user_id(row: &Row<'_>, index: usize) -> rusqlite::Result<UserId> {
    row.get(index).map(UserId::from_bytes)
}

pub(super) fn chat_id(row: &Row<'_>, index: usize) -> rusqlite::Result<ChatId> {
    ChatId::from_bytes(row.get(index)?).ok_or_else(|| invalid(index, Type::Blob))
}

pub(super) fn time(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    row.get(index).map(Timestamp::from_millis)
}

pub(super) fn seq(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(index)?).map_err(|_| invalid(index, Type::Integer))
}

pub(super) fn messages_from(row: &Row<'_>, index: usize) -> rusqlite::Result<MessagesFrom> {
    MessagesFrom::parse(row.get_ref(index)?.as_str()?).ok_or_else(|| invalid(index, Type::Text))
}

/// `hash, created_at, last_used_at, expires_at, user_agent`.
pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        hash: SessionHash::from_bytes(row.get(0)?),
        created_at: time(row, 1)?,
        last_used_at: time(row, 2)?,
        expires_at: time(row, 3)?,
        user_agent: row.get(4)?,
    })
}

/// `id, username, email, is_email_verified, messages_from, last_login, created_at`; no friends.
pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: user_id(row, 0)?,
        username: Username::from_stored(row.get(1)?),
        email: Email::from_stored(row.get(2)?),
        is_email_verified: row.get(3)?,
        friends: Vec::new(),
        messages_from: messages_from(row, 4)?,
        last_login: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
        created_at: time(row, 6)?,
    })
}

/// `chat, seq, sender, content, sent_at`.
pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message { chat: chat_id(row, 0)?, seq: seq(row, 1)?, sender: user_id(row, 2)?, content: row.get(3)?, sent_at: time(row, 4)? })
}

/// A number as SQLite keeps it. Numbers beyond its range are beyond any message.
pub(super) fn to_sql_seq(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A limit as SQLite takes it.
pub(super) fn to_sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn invalid(index: usize, kind: Type) -> Error {
    Error::FromSqlConversionFailure(index, kind, Box::new(FromSqlError::InvalidType))
}
