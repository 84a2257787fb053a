//! Profiles in SQLite. What is said about friends, blocks and other people is in files of their own.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::{Connection, Error, OptionalExtension as _, params};

use super::{SqliteStore, addresses, friends, mail, people, registrations, rows, sessions};
use crate::domain::{Addresses, SessionKey, Timestamp, UserId, Username, UsernameKey, UsernamePrefix};
use crate::store::users::EmailStep;
use crate::store::{
    AccountData, Authenticated, BlockAddition, Change, EmailChange, Friend, FriendAddition, MessagesFrom, NewMail, Peer, Person,
    ProfileChange, ProfileUpdate, StoreError, User, UserStore,
};

const SELECT_USER: &str = "
    SELECT id, username, email, is_email_verified, messages_from, last_login, created_at, pending_email, pending_email_until
    FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_NAME_OWNER: &str = "SELECT id FROM users WHERE username_key = ?1";
const SELECT_CALLER: &str = "
    SELECT password_hash FROM users
    WHERE id = ?1 AND held_until IS NULL AND EXISTS (SELECT 1 FROM sessions WHERE user = ?1 AND hash = ?2)";
const SELECT_LAST_SEEN: &str = "SELECT last_seen FROM users WHERE id = ?1";
const DELETE_USER: &str = "DELETE FROM users WHERE id = ?1";
/// A conflict leaves everything as it is and changes no row.
const UPDATE_USER: &str = "
    UPDATE OR IGNORE users SET
        username = coalesce(?2, username), username_key = coalesce(?3, username_key), messages_from = coalesce(?4, messages_from)
    WHERE id = ?1";

#[async_trait]
impl UserStore for SqliteStore {
    async fn find_profile(&self, key: &SessionKey) -> Result<Option<Authenticated<User>>, StoreError> {
        let user = key.user;
        // A session has its account.
        self.read_as(key, move |snapshot| select_user(snapshot, user)?.ok_or(Error::QueryReturnedNoRows)).await
    }

    async fn find_peer(&self, key: &SessionKey, peer: UserId) -> Result<Option<Authenticated<Option<Peer>>>, StoreError> {
        let caller = key.user;
        self.read_as(key, move |snapshot| people::select_peer(snapshot, peer, caller)).await
    }

    async fn update_profile(&self, key: &SessionKey, change: &ProfileChange, at: Timestamp) -> Result<ProfileUpdate, StoreError> {
        let (key, change) = (*key, change.clone());
        self.write(move |connection| update(connection, &key, &change, at)).await
    }

    async fn add_friend(&self, user: UserId, friend: UserId, at: Timestamp) -> Result<FriendAddition, StoreError> {
        self.write(move |connection| friends::add(connection, user, friend, at)).await
    }

    async fn remove_friend(&self, user: UserId, friend: UserId) -> Result<bool, StoreError> {
        self.write(move |connection| friends::remove(connection, user, friend)).await
    }

    async fn list_friends(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Authenticated<Vec<Friend>>>, StoreError> {
        let caller = key.user;
        self.read_as(key, move |snapshot| people::select_friends(snapshot, caller, at)).await
    }

    async fn list_blocks(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Authenticated<Vec<Person>>>, StoreError> {
        let caller = key.user;
        self.read_as(key, move |snapshot| people::select_blocked(snapshot, caller, at)).await
    }

    async fn block(&self, user: UserId, other: UserId, at: Timestamp) -> Result<BlockAddition, StoreError> {
        self.write_and_tell(move |connection| friends::block(connection, user, other, at)).await
    }

    async fn unblock(&self, user: UserId, other: UserId) -> Result<bool, StoreError> {
        self.write_and_tell(move |connection| {
            let ended = friends::unblock(connection, user, other)?;
            Ok((ended, ended.then_some(Change::Access(user))))
        })
        .await
    }

    async fn search_people(&self, caller: UserId, prefix: &UsernamePrefix, limit: usize, at: Timestamp) -> Result<Vec<Person>, StoreError> {
        let prefix = prefix.clone();
        self.read(move |snapshot| people::search(snapshot, caller, &prefix, limit, at)).await
    }

    async fn find_people(&self, caller: UserId, ids: &[UserId], at: Timestamp) -> Result<Vec<Person>, StoreError> {
        let ids: BTreeSet<UserId> = ids.iter().copied().collect();
        self.read(move |snapshot| people::select_people(snapshot, caller, ids, at)).await
    }

    async fn find_account_data(&self, key: &SessionKey) -> Result<Option<Authenticated<AccountData>>, StoreError> {
        let user = key.user;
        self.read_as(key, move |snapshot| select_data(snapshot, user)).await
    }
}

/// A person with their friends.
pub(super) fn select_user(connection: &Connection, id: UserId) -> rusqlite::Result<Option<User>> {
    let user = connection.prepare_cached(SELECT_USER)?.query_row([id.to_bytes()], rows::user).optional()?;
    let Some(mut user) = user else { return Ok(None) };
    user.friends = people::select_friend_ids(connection, id)?.into_iter().map(|(friend, _)| friend).collect();
    Ok(Some(user))
}

/// Whether somebody other than `owner` has a user name.
pub(super) fn is_username_taken(connection: &Connection, name: &UsernameKey, owner: Option<UserId>) -> rusqlite::Result<bool> {
    let holder = connection.prepare_cached(SELECT_NAME_OWNER)?.query_row([name.as_str()], |row| rows::user_id(row, 0)).optional()?;
    Ok(holder.is_some() && holder != owner)
}

/// Removes a record that nothing belongs to yet.
pub(super) fn delete(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_USER)?.execute([user.to_bytes()]).map(drop)
}

fn update(connection: &Connection, key: &SessionKey, change: &ProfileChange, at: Timestamp) -> rusqlite::Result<ProfileUpdate> {
    let user = key.user;
    let caller = params![user.to_bytes(), key.session.to_bytes()];
    let hash = connection.prepare_cached(SELECT_CALLER)?.query_row(caller, |row| row.get::<_, String>(0)).optional()?;
    let is_other = |hash: String| change.checked.as_ref().is_some_and(|checked| checked.expose() != hash);
    if hash.is_none_or(is_other) {
        return Ok(ProfileUpdate::NotFound);
    }
    // What may be refused comes first, for what is written stays.
    let mut moving = None;
    if let Some(email) = &change.email {
        let Some(seen) = addresses::select(connection, user)? else { return Ok(ProfileUpdate::NotFound) };
        match email.step_from(&seen, at) {
            Ok(step) => moving = Some((email, seen, step)),
            Err(refusal) => return Ok(refusal.into()),
        }
    }
    if let Some(name) = change.username.as_ref().map(Username::key) {
        registrations::free_name(connection, &name, at)?;
        if is_username_taken(connection, &name, Some(user))? {
            return Ok(ProfileUpdate::UsernameTaken);
        }
    }
    if let Some((email, seen, step)) = &moving
        && !update_address(connection, user, seen, email, step, at)?
    {
        return Ok(ProfileUpdate::EmailTaken);
    }
    connection.prepare_cached(UPDATE_USER)?.execute(params![
        user.to_bytes(),
        change.username.as_ref().map(Username::as_str),
        change.username.as_ref().map(Username::key).as_ref().map(UsernameKey::as_str),
        change.messages_from.map(MessagesFrom::as_str),
    ])?;
    select_user(connection, user).map(|user| user.map_or(ProfileUpdate::NotFound, ProfileUpdate::Updated))
}

/// Changes the address; `false` when another account has it.
fn update_address(
    connection: &Connection,
    user: UserId,
    seen: &Addresses,
    change: &EmailChange,
    step: &EmailStep,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    if !addresses::change(connection, user, seen, &step.next, None, at)? {
        return Ok(false);
    }
    if let Some(kind) = step.notice {
        addresses::notify(connection, user, seen, kind, at)?;
    }
    if let Some(kind) = step.link {
        mail::insert(connection, user, &NewMail { kind, address: change.address.clone(), at })?;
    }
    Ok(true)
}

fn select_data(connection: &Connection, id: UserId) -> rusqlite::Result<AccountData> {
    let user = select_user(connection, id)?.ok_or(Error::QueryReturnedNoRows)?;
    let addresses = addresses::select(connection, id)?.ok_or(Error::QueryReturnedNoRows)?;
    Ok(AccountData {
        user,
        last_seen: connection.prepare_cached(SELECT_LAST_SEEN)?.query_row([id.to_bytes()], |row| rows::optional_time(row, 0))?,
        recovery: addresses.recovery.into_iter().map(|way| way.address).collect(),
        recovery_until: addresses.recovery_until,
        sessions: sessions::select_all(connection, id)?,
        friends: people::select_friend_ids(connection, id)?,
        blocks: people::select_block_ids(connection, id)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn every_query_walks_an_index() {
        for query in [SELECT_USER, SELECT_LAST_SEEN, UPDATE_USER] {
            assert_plan(query, &["SEARCH users USING PRIMARY KEY (id=?)"]);
        }
        assert_plan(SELECT_NAME_OWNER, &["SEARCH users USING INDEX sqlite_autoindex_users_2 (username_key=?)"]);
    }
}
