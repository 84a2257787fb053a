//! From rows to records. A value that does not decode is an error of its row, never a guess.

use rusqlite::types::{FromSqlError, Type, ValueRef};
use rusqlite::{Error, Row, Rows};

use super::passwords::GoodToken;
use crate::domain::{
    Addresses, ChatId, Email, Hex, LinkId, MailKind, MailPurpose, MailTokenHash, PasswordHash, PendingEmail, RecoveryAddress, Session,
    SessionHash, Timestamp, UserId, Username,
};
use crate::store::{
    Credentials, DueMail, Lists, MailId, MailTokenOwner, Message, MessagesFrom, OwnCredentials, Peer, PendingRegistration, RecoveryLink,
    User,
};

pub(super) fn user_id(row: &Row<'_>, index: usize) -> rusqlite::Result<UserId> {
    row.get(index).map(UserId::from_bytes)
}

pub(super) fn chat_id(row: &Row<'_>, index: usize) -> rusqlite::Result<ChatId> {
    ChatId::from_bytes(row.get(index)?).ok_or_else(|| invalid(index, Type::Blob))
}

pub(super) fn time(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    row.get(index).map(Timestamp::from_millis)
}

pub(super) fn optional_time(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp::from_millis))
}

pub(super) fn username(row: &Row<'_>, index: usize) -> rusqlite::Result<Username> {
    row.get(index).map(Username::from_stored)
}

pub(super) fn email(row: &Row<'_>, index: usize) -> rusqlite::Result<Email> {
    row.get(index).map(Email::from_stored)
}

pub(super) fn seq(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(index)?).map_err(|_| invalid(index, Type::Integer))
}

pub(super) fn count(row: &Row<'_>, index: usize) -> rusqlite::Result<usize> {
    usize::try_from(row.get::<_, i64>(index)?).map_err(|_| invalid(index, Type::Integer))
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

/// `id, password_hash, is_email_verified`.
pub(super) fn credentials(row: &Row<'_>) -> rusqlite::Result<Credentials> {
    Ok(Credentials { user: user_id(row, 0)?, password_hash: PasswordHash::new(row.get(1)?), is_email_verified: row.get(2)? })
}

/// `id, password_hash, created_at`.
pub(super) fn pending_registration(row: &Row<'_>) -> rusqlite::Result<PendingRegistration> {
    Ok(PendingRegistration { id: user_id(row, 0)?, password_hash: PasswordHash::new(row.get(1)?), created_at: time(row, 2)? })
}

/// `username, email, is_email_verified, password_hash`.
pub(super) fn own_credentials(row: &Row<'_>) -> rusqlite::Result<OwnCredentials> {
    Ok(OwnCredentials {
        username: username(row, 0)?,
        email: email(row, 1)?,
        is_email_verified: row.get(2)?,
        password_hash: PasswordHash::new(row.get(3)?),
    })
}

/// `user, username, address, purpose, password_hash, is_verified`.
pub(super) fn good_token(row: &Row<'_>) -> rusqlite::Result<GoodToken> {
    Ok(GoodToken {
        owner: MailTokenOwner { user: user_id(row, 0)?, username: username(row, 1)?, address: email(row, 2)? },
        purpose: MailPurpose::parse(row.get_ref(3)?.as_str()?).ok_or_else(|| invalid(3, Type::Text))?,
        password_hash: PasswordHash::new(row.get(4)?),
        is_verified: row.get(5)?,
    })
}

/// `email, is_email_verified, pending_email, pending_email_until, recovery_until`; no ways back.
pub(super) fn addresses(row: &Row<'_>) -> rusqlite::Result<Addresses> {
    let (pending, recovery_until) = (pending_email(row, 2)?, optional_time(row, 4)?);
    Ok(Addresses { pending, recovery_until, ..Addresses::only(email(row, 0)?, row.get(1)?) })
}

/// `address, link`.
pub(super) fn recovery_address(row: &Row<'_>) -> rusqlite::Result<RecoveryAddress> {
    Ok(RecoveryAddress { address: email(row, 0)?, link: LinkId(row.get(1)?) })
}

/// The address and the time from `index` on.
fn pending_email(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<PendingEmail>> {
    let until = optional_time(row, index + 1)?;
    until.map(|until| Ok(PendingEmail { address: email(row, index)?, until })).transpose()
}

/// `id, username, email, is_email_verified, messages_from, last_login, created_at, pending_email, pending_email_until`; no friends.
pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: user_id(row, 0)?,
        username: username(row, 1)?,
        email: email(row, 2)?,
        is_email_verified: row.get(3)?,
        pending_email: pending_email(row, 7)?,
        friends: Vec::new(),
        messages_from: messages_from(row, 4)?,
        last_login: optional_time(row, 5)?,
        created_at: time(row, 6)?,
    })
}

/// `messages_from`, and whether the caller is a friend, and blocked.
pub(super) fn peer(row: &Row<'_>) -> rusqlite::Result<Peer> {
    Ok(Peer::new(messages_from(row, 0)?, Lists { is_friend: row.get(1)?, is_blocked: row.get(2)? }))
}

/// `chat, seq, sender, content, sent_at`.
pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message { chat: chat_id(row, 0)?, seq: seq(row, 1)?, sender: user_id(row, 2)?, content: row.get(3)?, sent_at: time(row, 4)? })
}

/// `id, user, username, is_pending, kind, address, ordered_at, attempts, link, recovery_until`.
pub(super) fn due_mail(row: &Row<'_>) -> rusqlite::Result<DueMail> {
    Ok(DueMail {
        id: MailId(row.get(0)?),
        user: user_id(row, 1)?,
        username: username(row, 2)?,
        is_pending: row.get(3)?,
        kind: MailKind::parse(row.get_ref(4)?.as_str()?).ok_or_else(|| invalid(4, Type::Text))?,
        address: email(row, 5)?,
        ordered_at: time(row, 6)?,
        attempts: row.get(7)?,
        begun: row.get::<_, Option<_>>(8)?.map(MailTokenHash::from_bytes),
        unsettled: row.get(9)?,
        recovery: match (row.get(10)?, optional_time(row, 11)?) {
            (Some(id), Some(until)) => Some(RecoveryLink { id: LinkId(id), until }),
            _ => None,
        },
    })
}

/// The first `limit` rows that decode. One that does not is left out, and rows behind it take its place.
pub(super) fn decodable<T>(
    mut rows: Rows<'_>,
    limit: usize,
    key: fn(&Row<'_>) -> String,
    decode: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut decoded = Vec::new();
    while decoded.len() < limit
        && let Some(row) = rows.next()?
    {
        decoded.extend(unless_undecodable(decode(row), || key(row))?);
    }
    Ok(decoded)
}

/// What a record decodes to; `None` when it does not, which is logged by its key.
pub(super) fn unless_undecodable<T>(decoded: rusqlite::Result<T>, key: impl FnOnce() -> String) -> rusqlite::Result<Option<T>> {
    match decoded {
        Ok(record) => Ok(Some(record)),
        Err(error) if is_undecodable(&error) => {
            log::error!(event = "record_undecodable", key = key(); "a record does not decode and is left out of a list");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether it is the record that is wrong and not the reading of it.
fn is_undecodable(error: &Error) -> bool {
    use Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows, Utf8Error};
    // No rows: a part of the record is missing.
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | QueryReturnedNoRows | Utf8Error(..)
    )
}

/// The key of a row that begins with `chat`.
pub(super) fn chat_key(row: &Row<'_>) -> String {
    raw(row, 0)
}

/// The key of a row that begins with `chat, seq`.
pub(super) fn message_key(row: &Row<'_>) -> String {
    [raw(row, 0), raw(row, 1)].join("-")
}

/// A part of a key, which may be what does not decode.
fn raw(row: &Row<'_>, index: usize) -> String {
    match row.get_ref(index) {
        Ok(ValueRef::Blob(bytes)) => Hex(bytes).to_string(),
        Ok(ValueRef::Integer(number)) => number.to_string(),
        _ => "?".to_owned(),
    }
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
