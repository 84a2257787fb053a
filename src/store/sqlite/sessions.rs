//! Sessions in SQLite.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{rows, users};
use crate::domain::{PasswordHash, Session, SessionKey, Timestamp, UserId};
use crate::store::User;

const INSERT_SESSION: &str = "
    INSERT INTO sessions (user, hash, created_at, last_used_at, expires_at, user_agent) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// Keeps the most recently used sessions and one place for a new one.
const DELETE_OLDEST: &str = "
    DELETE FROM sessions WHERE user = ?1 AND hash IN (
        SELECT hash FROM sessions WHERE user = ?1 ORDER BY last_used_at DESC LIMIT -1 OFFSET ?2)";
const RENEW_LOGIN: &str = "
    UPDATE users SET last_login = ?3, last_seen = ?3, password_hash = coalesce(?4, password_hash)
    WHERE id = ?1 AND password_hash = ?2 AND held_until IS NULL";
const SELECT_SESSION: &str = "
    SELECT hash, created_at, last_used_at, expires_at, user_agent FROM sessions WHERE user = ?1 AND hash = ?2";
const SELECT_SESSIONS: &str = "
    SELECT hash, created_at, last_used_at, expires_at, user_agent FROM sessions WHERE user = ?1 ORDER BY last_used_at DESC";
const TOUCH_SESSION: &str = "
    UPDATE sessions SET last_used_at = ?3, expires_at = min(expires_at, ?6)
    WHERE user = ?1 AND hash = ?2 AND (last_used_at <= ?4 OR last_used_at > ?5)";
const RESTAMP_SESSIONS: &str = "
    UPDATE sessions SET last_used_at = ?3, created_at = min(created_at, ?3), expires_at = min(expires_at, ?4)
    WHERE user = ?1 AND last_used_at > ?2";
const NOTE_SEEN: &str = "UPDATE users SET last_seen = ?2 WHERE id = ?1 AND (ifnull(last_seen, 0) < ?2 OR last_seen > ?3)";
const DELETE_SESSION: &str = "DELETE FROM sessions WHERE user = ?1 AND hash = ?2";
const DELETE_OTHERS: &str = "DELETE FROM sessions WHERE user = ?1 AND hash <> ?2";
const DELETE_ALL: &str = "DELETE FROM sessions WHERE user = ?1";

/// The session that a request carries.
pub(super) fn select(connection: &Connection, key: &SessionKey) -> rusqlite::Result<Option<Session>> {
    connection.prepare_cached(SELECT_SESSION)?.query_row(params![key.user.to_bytes(), key.session.to_bytes()], rows::session).optional()
}

/// All sessions of a person, the most recently used first.
pub(super) fn select_all(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<Session>> {
    connection.prepare_cached(SELECT_SESSIONS)?.query_map([user.to_bytes()], rows::session)?.collect()
}

/// Adds a session to those of an account whose hash still is the one checked.
pub(super) fn start(
    connection: &Connection,
    user: UserId,
    checked: &PasswordHash,
    renewed: Option<&PasswordHash>,
    session: &Session,
) -> rusqlite::Result<Option<User>> {
    let renewed = renewed.map(PasswordHash::expose);
    let login = params![user.to_bytes(), checked.expose(), session.created_at.as_millis(), renewed];
    if connection.prepare_cached(RENEW_LOGIN)?.execute(login)? == 0 {
        return Ok(None);
    }
    restamp(connection, user, session.created_at)?;
    connection.prepare_cached(DELETE_OLDEST)?.execute(params![user.to_bytes(), rows::to_sql_limit(Session::MAX_PER_USER - 1)])?;
    insert(connection, user, session)?;
    users::select_user(connection, user)
}

/// Has the uses that lie too far ahead count as earlier than all others.
fn restamp(connection: &Connection, user: UserId, now: Timestamp) -> rusqlite::Result<()> {
    let stored = select_all(connection, user)?.into_iter().map(|session| session.last_used_at);
    if let Some(earliest) = Session::use_before_all(stored, now) {
        let (latest, end) = (Timestamp::latest_credible(now), now.plus_millis(Session::LIFETIME_MILLIS));
        let times = params![user.to_bytes(), latest.as_millis(), earliest.as_millis(), end.as_millis()];
        connection.prepare_cached(RESTAMP_SESSIONS)?.execute(times)?;
    }
    Ok(())
}

pub(super) fn insert(connection: &Connection, user: UserId, session: &Session) -> rusqlite::Result<()> {
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

/// Notes that a session was used, unless the last note is young.
pub(super) fn touch(connection: &Connection, key: &SessionKey, at: Timestamp) -> rusqlite::Result<()> {
    let due = at.plus_millis(-Session::TOUCH_AFTER_MILLIS);
    let (latest, end) = (Timestamp::latest_credible(at), at.plus_millis(Session::LIFETIME_MILLIS));
    let (user, session) = (key.user.to_bytes(), key.session.to_bytes());
    let touch = params![user, session, at.as_millis(), due.as_millis(), latest.as_millis(), end.as_millis()];
    if connection.prepare_cached(TOUCH_SESSION)?.execute(touch)? > 0 {
        note_seen(connection, key.user, at)?;
    }
    Ok(())
}

/// Ends a session; `false` when there was none.
pub(super) fn end(connection: &Connection, key: &SessionKey, at: Timestamp) -> rusqlite::Result<bool> {
    let ended = connection.prepare_cached(DELETE_SESSION)?.execute(params![key.user.to_bytes(), key.session.to_bytes()])? > 0;
    if ended {
        note_seen(connection, key.user, at)?;
    }
    Ok(ended)
}

/// Ends all sessions of a person but one; `false` when there was no other.
pub(super) fn end_others(connection: &Connection, key: &SessionKey) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached(DELETE_OTHERS)?.execute(params![key.user.to_bytes(), key.session.to_bytes()])? > 0)
}

pub(super) fn end_all(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_ALL)?.execute([user.to_bytes()])?;
    Ok(())
}

/// The latest note of somebody counts, whichever session it comes from, unless it lies too far ahead.
fn note_seen(connection: &Connection, user: UserId, at: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached(NOTE_SEEN)?.execute(params![user.to_bytes(), at.as_millis(), Timestamp::latest_credible(at).as_millis()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn every_query_walks_an_index_and_sorts_no_more_than_one_persons_sessions() {
        let (one, of_user) = ("SEARCH sessions USING PRIMARY KEY (user=? AND hash=?)", "SEARCH sessions USING PRIMARY KEY (user=?)");
        for query in [SELECT_SESSION, TOUCH_SESSION, DELETE_SESSION] {
            assert_plan(query, &[one]);
        }
        for query in [DELETE_OTHERS, DELETE_ALL, RESTAMP_SESSIONS] {
            assert_plan(query, &[of_user]);
        }
        let sort = "USE TEMP B-TREE FOR ORDER BY";
        assert_plan(SELECT_SESSIONS, &[of_user, sort]);
        assert_plan(DELETE_OLDEST, &[one, of_user, sort]);
        for query in [RENEW_LOGIN, NOTE_SEEN] {
            assert_plan(query, &["SEARCH users USING PRIMARY KEY (id=?)"]);
        }
    }
}
