//! Profiles in SQLite. What is said about friends, blocks and other people is in files of their own.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::{Connection, Error, OptionalExtension as _, params};

use super::{SqliteStore, friends, mail, passwords, people, registrations, rows, sessions};
use crate::domain::{Email, EmailKey, MailKind, SessionKey, Timestamp, UserId, Username, UsernameKey, UsernamePrefix};
use crate::store::{
    AccountData, AddressMail, Authenticated, BlockAddition, Change, Friend, FriendAddition, KEEP_PREVIOUS_ADDRESS_MILLIS, MessagesFrom,
    NewMail, Peer, Person, ProfileChange, ProfileUpdate, StoreError, User, UserStore,
};

const SELECT_USER: &str = "
    SELECT id, username, email, is_email_verified, messages_from, last_login, created_at
    FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_NAME_OWNER: &str = "SELECT id FROM users WHERE username_key = ?1";
const SELECT_ADDRESS: &str = "SELECT email FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_DATA: &str = "SELECT last_seen, previous_email, previous_email_until FROM users WHERE id = ?1";
/// A conflict leaves everything as it is and changes no row; an address with the same key keeps its verification.
const UPDATE_USER: &str = "
    UPDATE OR IGNORE users SET
        username = coalesce(?2, username), username_key = coalesce(?3, username_key),
        is_email_verified = is_email_verified AND (?5 IS NULL OR ?5 = email_key),
        email = coalesce(?4, email), email_key = coalesce(?5, email_key),
        messages_from = coalesce(?6, messages_from)
    WHERE id = ?1";
const KEEP_PREVIOUS_ADDRESS: &str = "
    UPDATE users SET previous_email = ?2, previous_email_key = ?3, previous_email_until = ?4
    WHERE id = ?1 AND ifnull(previous_email_until, ?5) <= ?5";

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

    async fn update_profile(
        &self,
        user: UserId,
        change: &ProfileChange,
        at: Timestamp,
        mail: AddressMail,
    ) -> Result<ProfileUpdate, StoreError> {
        let change = change.clone();
        self.write(move |connection| update(connection, user, &change, at, mail)).await
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

fn update(
    connection: &Connection,
    user: UserId,
    change: &ProfileChange,
    at: Timestamp,
    mail: AddressMail,
) -> rusqlite::Result<ProfileUpdate> {
    let Some(present) = select_address(connection, user)? else { return Ok(ProfileUpdate::NotFound) };
    let (name_key, email_key) = (change.username.as_ref().map(Username::key), change.email.as_ref().map(Email::key));
    if let Some(name) = &name_key {
        registrations::free_name(connection, name, at)?;
    }
    let updated = connection.prepare_cached(UPDATE_USER)?.execute(params![
        user.to_bytes(),
        change.username.as_ref().map(Username::as_str),
        name_key.as_ref().map(UsernameKey::as_str),
        change.email.as_ref().map(Email::as_str),
        email_key.as_ref().map(EmailKey::as_str),
        change.messages_from.map(MessagesFrom::as_str),
    ])?;
    if updated == 0 {
        let name_taken = name_key.map_or(Ok(false), |key| is_username_taken(connection, &key, Some(user)))?;
        return Ok(if name_taken { ProfileUpdate::UsernameTaken } else { ProfileUpdate::EmailTaken });
    }
    if let Some(new) = change.email.as_ref().filter(|new| new.key() != present.key()) {
        passwords::void_tokens(connection, user)?;
        if !present.is_empty() {
            leave_address(connection, user, present, at, mail)?;
        }
        if mail == AddressMail::ToBoth {
            mail::insert(connection, user, &NewMail { kind: MailKind::NewAddress, address: new.clone(), at })?;
        }
    }
    select_user(connection, user).map(|user| user.map_or(ProfileUpdate::NotFound, ProfileUpdate::Updated))
}

fn select_address(connection: &Connection, user: UserId) -> rusqlite::Result<Option<Email>> {
    connection.prepare_cached(SELECT_ADDRESS)?.query_row([user.to_bytes()], |row| rows::email(row, 0)).optional()
}

/// What becomes of an address that its account gives up.
fn leave_address(connection: &Connection, user: UserId, address: Email, at: Timestamp, mail: AddressMail) -> rusqlite::Result<()> {
    let until = at.plus_millis(KEEP_PREVIOUS_ADDRESS_MILLIS).as_millis();
    let key = address.key();
    let previous = params![user.to_bytes(), address.as_str(), key.as_str(), until, at.as_millis()];
    connection.prepare_cached(KEEP_PREVIOUS_ADDRESS)?.execute(previous)?;
    if mail != AddressMail::None {
        mail::insert(connection, user, &NewMail { kind: MailKind::AddressChanged, address, at })?;
    }
    Ok(())
}

fn select_data(connection: &Connection, id: UserId) -> rusqlite::Result<AccountData> {
    let user = select_user(connection, id)?.ok_or(Error::QueryReturnedNoRows)?;
    let (last_seen, previous_email) = connection.prepare_cached(SELECT_DATA)?.query_row([id.to_bytes()], |row| {
        let until = rows::optional_time(row, 2)?;
        let previous = until.map(|until| Ok::<_, Error>((rows::email(row, 1)?, until))).transpose()?;
        Ok((rows::optional_time(row, 0)?, previous))
    })?;
    Ok(AccountData {
        user,
        last_seen,
        previous_email,
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
        for query in [SELECT_USER, SELECT_ADDRESS, SELECT_DATA, UPDATE_USER, KEEP_PREVIOUS_ADDRESS] {
            assert_plan(query, &["SEARCH users USING PRIMARY KEY (id=?)"]);
        }
        assert_plan(SELECT_NAME_OWNER, &["SEARCH users USING INDEX sqlite_autoindex_users_2 (username_key=?)"]);
    }
}
