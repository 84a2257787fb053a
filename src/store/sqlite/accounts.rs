//! Accounts and sessions in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{SqliteStore, rows, users};
use crate::domain::{EmailKey, PasswordHash, Session, SessionKey, Timestamp, UserId};
use crate::store::{AccountStore, Authenticated, Creation, Credentials, NewAccount, StoreError, User};

const INSERT_USER: &str = "
    INSERT INTO users (id, username, username_key, email, email_key, password_hash, is_email_verified, messages_from,
                       last_login, last_seen, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)
    ON CONFLICT DO NOTHING";
const INSERT_SESSION: &str = "
    INSERT INTO sessions (user, hash, created_at, last_used_at, expires_at, user_agent) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// Keeps the most recently used sessions and one place for a new one.
const DROP_OLDEST_SESSIONS: &str = "
    DELETE FROM sessions WHERE user = ?1 AND hash IN (
        SELECT hash FROM sessions WHERE user = ?1 ORDER BY last_used_at DESC LIMIT -1 OFFSET ?2)";
const RENEW_LOGIN: &str = "
    UPDATE users SET last_login = ?3, last_seen = ?3, password_hash = coalesce(?4, password_hash)
    WHERE id = ?1 AND password_hash = ?2";
const SELECT_CREDENTIALS: &str = "SELECT id, password_hash FROM users WHERE email_key = ?1";
const SELECT_SESSION: &str = "
    SELECT hash, created_at, last_used_at, expires_at, user_agent FROM sessions WHERE user = ?1 AND hash = ?2";
const TOUCH_SESSION: &str = "UPDATE sessions SET last_used_at = ?3 WHERE user = ?1 AND hash = ?2 AND last_used_at <= ?4";
const NOTE_SEEN: &str = "UPDATE users SET last_seen = ?2 WHERE id = ?1 AND ifnull(last_seen, 0) < ?2";
const END_SESSION: &str = "DELETE FROM sessions WHERE user = ?1 AND hash = ?2";

#[async_trait]
impl AccountStore for SqliteStore {
    async fn create_account(&self, account: &NewAccount) -> Result<Creation, StoreError> {
        let account = account.clone();
        self.write(move |connection| {
            let user = &account.user;
            let inserted = connection.prepare_cached(INSERT_USER)?.execute(params![
                user.id.to_bytes(),
                user.username.as_str(),
                user.username.key().as_str(),
                user.email.as_str(),
                user.email.key().as_str(),
                account.password_hash.expose(),
                user.is_email_verified,
                user.messages_from.as_str(),
                user.last_login.map(Timestamp::as_millis),
                user.created_at.as_millis(),
            ])?;
            if inserted == 0 {
                let taken = users::is_username_taken(connection, &user.username.key(), None)?;
                return Ok(if taken { Creation::UsernameTaken } else { Creation::EmailTaken });
            }
            insert_session(connection, user.id, &account.session)?;
            Ok(Creation::Created)
        })
        .await
    }

    async fn find_credentials(&self, email: &EmailKey) -> Result<Option<Credentials>, StoreError> {
        let email = email.clone();
        self.read(move |snapshot| {
            snapshot
                .prepare_cached(SELECT_CREDENTIALS)?
                .query_row([email.as_str()], |row| {
                    Ok(Credentials { user: rows::user_id(row, 0)?, password_hash: PasswordHash::new(row.get(1)?) })
                })
                .optional()
        })
        .await
    }

    async fn start_session(
        &self,
        user: UserId,
        checked: &PasswordHash,
        renewed: Option<&PasswordHash>,
        session: &Session,
    ) -> Result<Option<User>, StoreError> {
        let (checked, renewed, session) = (checked.clone(), renewed.cloned(), session.clone());
        self.write(move |connection| {
            let renewed = renewed.as_ref().map(PasswordHash::expose);
            let login = params![user.to_bytes(), checked.expose(), session.created_at.as_millis(), renewed];
            if connection.prepare_cached(RENEW_LOGIN)?.execute(login)? == 0 {
                return Ok(None);
            }
            connection
                .prepare_cached(DROP_OLDEST_SESSIONS)?
                .execute(params![user.to_bytes(), rows::to_sql_limit(Session::MAX_PER_USER - 1)])?;
            insert_session(connection, user, &session)?;
            users::select_user(connection, user)
        })
        .await
    }

    async fn find_session(&self, key: &SessionKey) -> Result<Option<Authenticated<()>>, StoreError> {
        let key = *key;
        self.read(move |snapshot| Ok(select_session(snapshot, &key)?.map(|session| Authenticated { session, record: () }))).await
    }

    async fn touch_session(&self, key: &SessionKey, at: Timestamp) -> Result<(), StoreError> {
        let key = *key;
        self.write(move |connection| {
            let due = at.plus_millis(-Session::TOUCH_AFTER_MILLIS);
            let touch = params![key.user.to_bytes(), key.session.to_bytes(), at.as_millis(), due.as_millis()];
            if connection.prepare_cached(TOUCH_SESSION)?.execute(touch)? > 0 {
                connection.prepare_cached(NOTE_SEEN)?.execute(params![key.user.to_bytes(), at.as_millis()])?;
            }
            Ok(())
        })
        .await
    }

    async fn end_session(&self, key: &SessionKey) -> Result<bool, StoreError> {
        let key = *key;
        self.write(move |connection| {
            Ok(connection.prepare_cached(END_SESSION)?.execute(params![key.user.to_bytes(), key.session.to_bytes()])? > 0)
        })
        .await
    }
}

/// The session that a request carries.
pub(super) fn select_session(connection: &Connection, key: &SessionKey) -> rusqlite::Result<Option<Session>> {
    connection.prepare_cached(SELECT_SESSION)?.query_row(params![key.user.to_bytes(), key.session.to_bytes()], rows::session).optional()
}

fn insert_session(connection: &Connection, user: UserId, session: &Session) -> rusqlite::Result<()> {
    connection.prepare_cached(INSERT_SESSION)?.execute(params![
        user.to_bytes(),
        session.hash.to_bytes(),
        session.created_at.as_millis(),
        session.last_used_at.as_millis(),
        session.expires_at.as_millis(),
        session.user_agent,
    ])?;
    Ok(())
}
