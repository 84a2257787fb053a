//! Profiles and friends in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{SqliteStore, accounts, rows};
use crate::domain::{Email, EmailKey, SessionKey, Timestamp, UserId, Username, UsernameKey};
use crate::store::{
    Authenticated, FriendAddition, MAX_FRIENDS, MessagesFrom, Peer, ProfileChange, ProfileUpdate, StoreError, User, UserStore,
};

const SELECT_USER: &str = "
    SELECT id, username, email, is_email_verified, messages_from, last_login, created_at FROM users WHERE id = ?1";
const SELECT_FRIENDS: &str = "SELECT friend FROM friends WHERE user = ?1 ORDER BY number";
const SELECT_PEER: &str = "
    SELECT messages_from,
           EXISTS (SELECT 1 FROM friends WHERE user = ?1 AND friend = ?2),
           EXISTS (SELECT 1 FROM blocks WHERE user = ?1 AND blocked = ?2)
    FROM users WHERE id = ?1";
const SELECT_NAME_OWNER: &str = "SELECT id FROM users WHERE username_key = ?1";
/// A conflict leaves everything as it is and changes no row; an address with the same key keeps its verification.
const UPDATE_USER: &str = "
    UPDATE OR IGNORE users SET
        username = coalesce(?2, username), username_key = coalesce(?3, username_key),
        is_email_verified = is_email_verified AND (?5 IS NULL OR ?5 = email_key),
        email = coalesce(?4, email), email_key = coalesce(?5, email_key),
        messages_from = coalesce(?6, messages_from)
    WHERE id = ?1";
const COUNT_FRIENDS: &str = "SELECT count(*) FROM friends WHERE user = ?1";
const SELECT_FRIEND: &str = "SELECT 1 FROM friends WHERE user = ?1 AND friend = ?2";
const INSERT_FRIEND: &str = "INSERT INTO friends (user, friend, added_at) VALUES (?1, ?2, ?3)";
const DELETE_FRIEND: &str = "DELETE FROM friends WHERE user = ?1 AND friend = ?2";

#[async_trait]
impl UserStore for SqliteStore {
    async fn find_profile(&self, key: &SessionKey) -> Result<Option<Authenticated<User>>, StoreError> {
        let key = *key;
        self.read(move |snapshot| {
            let Some(session) = accounts::select_session(snapshot, &key)? else { return Ok(None) };
            Ok(select_user(snapshot, key.user)?.map(|record| Authenticated { session, record }))
        })
        .await
    }

    async fn find_peer(&self, key: &SessionKey, peer: UserId) -> Result<Option<Authenticated<Option<Peer>>>, StoreError> {
        let key = *key;
        self.read(move |snapshot| {
            let Some(session) = accounts::select_session(snapshot, &key)? else { return Ok(None) };
            let record = select_peer(snapshot, peer, key.user)?;
            Ok(Some(Authenticated { session, record }))
        })
        .await
    }

    async fn update_profile(&self, user: UserId, change: &ProfileChange) -> Result<ProfileUpdate, StoreError> {
        let change = change.clone();
        self.write(move |connection| {
            let (name_key, email_key) = (change.username.as_ref().map(Username::key), change.email.as_ref().map(Email::key));
            let updated = connection.prepare_cached(UPDATE_USER)?.execute(params![
                user.to_bytes(),
                change.username.as_ref().map(Username::as_str),
                name_key.as_ref().map(UsernameKey::as_str),
                change.email.as_ref().map(Email::as_str),
                email_key.as_ref().map(EmailKey::as_str),
                change.messages_from.map(MessagesFrom::as_str),
            ])?;
            let Some(current) = select_user(connection, user)? else { return Ok(ProfileUpdate::NotFound) };
            if updated > 0 {
                return Ok(ProfileUpdate::Updated(current));
            }
            let name_taken = name_key.map_or(Ok(false), |key| is_username_taken(connection, &key, Some(user)))?;
            Ok(if name_taken { ProfileUpdate::UsernameTaken } else { ProfileUpdate::EmailTaken })
        })
        .await
    }

    async fn add_friend(&self, user: UserId, friend: UserId, at: Timestamp) -> Result<FriendAddition, StoreError> {
        self.write(move |connection| {
            let pair = params![user.to_bytes(), friend.to_bytes()];
            if connection.prepare_cached(SELECT_FRIEND)?.exists(pair)? {
                return Ok(FriendAddition::AlreadyFriend);
            }
            let count: i64 = connection.prepare_cached(COUNT_FRIENDS)?.query_row([user.to_bytes()], |row| row.get(0))?;
            if count >= rows::to_sql_limit(MAX_FRIENDS) {
                return Ok(FriendAddition::LimitReached);
            }
            connection.prepare_cached(INSERT_FRIEND)?.execute(params![user.to_bytes(), friend.to_bytes(), at.as_millis()])?;
            Ok(FriendAddition::Added)
        })
        .await
    }

    async fn remove_friend(&self, user: UserId, friend: UserId) -> Result<bool, StoreError> {
        self.write(
            move |connection| Ok(connection.prepare_cached(DELETE_FRIEND)?.execute(params![user.to_bytes(), friend.to_bytes()])? > 0),
        )
        .await
    }
}

/// A person with their friends.
pub(super) fn select_user(connection: &Connection, id: UserId) -> rusqlite::Result<Option<User>> {
    let user = connection.prepare_cached(SELECT_USER)?.query_row([id.to_bytes()], rows::user).optional()?;
    let Some(mut user) = user else { return Ok(None) };
    let mut friends = connection.prepare_cached(SELECT_FRIENDS)?;
    user.friends = friends.query_map([id.to_bytes()], |row| rows::user_id(row, 0))?.collect::<Result<_, _>>()?;
    Ok(Some(user))
}

/// Whether somebody other than `owner` has a user name.
pub(super) fn is_username_taken(connection: &Connection, name: &UsernameKey, owner: Option<UserId>) -> rusqlite::Result<bool> {
    let holder = connection.prepare_cached(SELECT_NAME_OWNER)?.query_row([name.as_str()], |row| rows::user_id(row, 0)).optional()?;
    Ok(holder.is_some() && holder != owner)
}

fn select_peer(connection: &Connection, peer: UserId, caller: UserId) -> rusqlite::Result<Option<Peer>> {
    connection
        .prepare_cached(SELECT_PEER)?
        .query_row(params![peer.to_bytes(), caller.to_bytes()], |row| {
            Ok(Peer { messages_from: rows::messages_from(row, 0)?, has_added_caller: row.get(1)?, has_blocked_caller: row.get(2)? })
        })
        .optional()
}
