//! The addresses of accounts in SQLite.
//!
//! Whose an address is stands in the table `addresses` alone, whose key decides between accounts; `email_key` of a user says which
//! of theirs logs in.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{mail, rows};
use crate::domain::{Addresses, Email, EmailKey, MailKind, MailPurpose, RECOVERY_GRACE_MILLIS, Timestamp, UserId};
use crate::store::NewMail;

const SELECT_PRESENT: &str = "
    SELECT email, is_email_verified, pending_email, pending_email_until, recovery_until FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_WAYS_BACK: &str = "SELECT address, link FROM addresses WHERE user = ?1 AND place > 0 ORDER BY place";
const SELECT_OWNER: &str = "
    SELECT user, address, place, recovery_until FROM addresses CROSS JOIN users ON users.id = user WHERE key = ?1";
const CLAIM: &str = "INSERT INTO addresses (key, user, address) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const DELETE_KEY: &str = "DELETE FROM addresses WHERE key = ?1 AND user = ?2";
const DELETE_ALL: &str = "DELETE FROM addresses WHERE user = ?1";
const DELETE_WAYS_BACK: &str = "DELETE FROM addresses WHERE user = ?1 AND place > 0";
const DELETE_LINKS_BACK: &str = "DELETE FROM mail_tokens WHERE user = ?1 AND purpose = 'recovery'";
const END_WAYS_BACK: &str = "UPDATE users SET recovery_until = NULL WHERE id = ?1";
const SET_PRESENT: &str = "
    UPDATE users SET email = ?2, email_key = ?3, is_email_verified = ?4, pending_email = ?5, pending_email_until = ?6, recovery_until = ?7
    WHERE id = ?1";
const SET_WITHOUT_ADDRESS: &str = "
    UPDATE users SET is_email_verified = ?2, pending_email = ?3, pending_email_until = ?4, recovery_until = ?5 WHERE id = ?1";
const SET_OWN: &str = "UPDATE addresses SET address = ?2, place = NULL, link = NULL WHERE key = ?1";
const SET_WAY_BACK: &str = "UPDATE addresses SET address = ?2, place = ?3, link = ?4 WHERE key = ?1";
const SELECT_LINKS: &str = "SELECT purpose, address_key FROM mail_tokens WHERE user = ?1";
const DELETE_LINK: &str = "DELETE FROM mail_tokens WHERE user = ?1 AND purpose = ?2 AND address_key = ?3";
const DELETE_MAIL: &str = "DELETE FROM mail WHERE user = ?1 AND kind = ?2 AND address_key = ?3";
const SELECT_MAIL: &str = "SELECT kind, address_key FROM mail WHERE user = ?1";
const SELECT_ENDED: &str = "SELECT id FROM users WHERE recovery_until <= ?1 ORDER BY recovery_until LIMIT 16";

/// The addresses of an account.
pub(super) fn select(connection: &Connection, user: UserId) -> rusqlite::Result<Option<Addresses>> {
    let present = connection.prepare_cached(SELECT_PRESENT)?.query_row([user.to_bytes()], rows::addresses).optional()?;
    let Some(mut addresses) = present else { return Ok(None) };
    let mut ways_back = connection.prepare_cached(SELECT_WAYS_BACK)?;
    addresses.recovery = ways_back.query_map([user.to_bytes()], rows::recovery_address)?.collect::<Result<_, _>>()?;
    Ok(Some(addresses))
}

/// The account that nobody else can have an address of, and the address as it is stored.
pub(super) fn select_owner(connection: &Connection, key: &EmailKey, at: Timestamp) -> rusqlite::Result<Option<(UserId, Email)>> {
    let held = held(connection, key, at)?;
    Ok(held.filter(|held| !held.is_over).map(|held| (held.user, held.address)))
}

/// An address that is some account's.
struct Held {
    user: UserId,
    address: Email,
    /// Whether its time as a way back is over.
    is_over: bool,
}

fn held(connection: &Connection, key: &EmailKey, at: Timestamp) -> rusqlite::Result<Option<Held>> {
    let held = connection.prepare_cached(SELECT_OWNER)?.query_row([key.as_str()], |row| {
        let is_over = row.get::<_, Option<i64>>(2)?.is_some() && rows::optional_time(row, 3)?.is_none_or(|until| until <= at);
        Ok(Held { user: rows::user_id(row, 0)?, address: rows::email(row, 1)?, is_over })
    });
    held.optional()
}

/// Makes an address one of an account's; `false` when another account has it. One whose time as a way back is over is free.
pub(super) fn claim(connection: &Connection, user: UserId, address: &Email, at: Timestamp) -> rusqlite::Result<bool> {
    let key = address.key();
    match held(connection, &key, at)? {
        Some(held) if held.is_over => forget_ways_back(connection, held.user)?,
        Some(held) if held.user != user => return Ok(false),
        _ => {}
    }
    connection.prepare_cached(CLAIM)?.execute(params![key.as_str(), user.to_bytes(), address.as_str()])?;
    Ok(true)
}

/// Gives an account other addresses, and ends the links and the mail that would lead nowhere, with all links to `spent`. `false`, and
/// nothing, when another account has the new one.
pub(super) fn change(
    connection: &Connection,
    user: UserId,
    seen: &Addresses,
    next: &Addresses,
    spent: Option<&EmailKey>,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    if !next.email.is_empty() && !claim(connection, user, &next.email, at)? {
        return Ok(false);
    }
    let keys = next.keys();
    for given_up in seen.keys().iter().filter(|key| !keys.contains(key)) {
        connection.prepare_cached(DELETE_KEY)?.execute(params![given_up.as_str(), user.to_bytes()])?;
    }
    write(connection, user, next, spent)?;
    Ok(true)
}

/// The same where no key changes hands.
pub(super) fn write(connection: &Connection, user: UserId, next: &Addresses, spent: Option<&EmailKey>) -> rusqlite::Result<()> {
    set(connection, user, next)?;
    end_links(connection, user, next, spent)
}

fn set(connection: &Connection, user: UserId, next: &Addresses) -> rusqlite::Result<()> {
    let pending = next.pending.as_ref().map(|pending| (pending.address.as_str(), pending.until.as_millis()));
    let (pending, pending_until) = (pending.map(|(address, _)| address), pending.map(|(_, until)| until));
    let recovery_until = next.recovery_until.map(Timestamp::as_millis);
    if next.email.is_empty() {
        let set = params![user.to_bytes(), next.is_verified, pending, pending_until, recovery_until];
        connection.prepare_cached(SET_WITHOUT_ADDRESS)?.execute(set)?;
    } else {
        let (email, key) = (next.email.as_str(), next.email.key());
        let set = params![user.to_bytes(), email, key.as_str(), next.is_verified, pending, pending_until, recovery_until];
        connection.prepare_cached(SET_PRESENT)?.execute(set)?;
        connection.prepare_cached(SET_OWN)?.execute(params![key.as_str(), email])?;
    }
    for (place, way) in (1_i64..).zip(&next.recovery) {
        let key = way.address.key();
        connection.prepare_cached(SET_WAY_BACK)?.execute(params![key.as_str(), way.address.as_str(), place, way.link.0])?;
    }
    Ok(())
}

/// Ends what leads nowhere any more. Mail without a link stays.
fn end_links(connection: &Connection, user: UserId, next: &Addresses, spent: Option<&EmailKey>) -> rusqlite::Result<()> {
    let good = next.links();
    let is_good = |purpose: &str, address: &str| {
        let is_it = |(other, key): &(MailPurpose, EmailKey)| other.as_str() == purpose && key.as_str() == address;
        good.iter().any(is_it) && spent.is_none_or(|spent| spent.as_str() != address)
    };
    for (purpose, address) in pairs(connection, SELECT_LINKS, user)? {
        if !is_good(&purpose, &address) {
            connection.prepare_cached(DELETE_LINK)?.execute(params![user.to_bytes(), purpose, address])?;
        }
    }
    for (kind, address) in pairs(connection, SELECT_MAIL, user)? {
        // Kinds of mail are called as their purposes.
        if MailPurpose::parse(&kind).is_some() && !is_good(&kind, &address) {
            connection.prepare_cached(DELETE_MAIL)?.execute(params![user.to_bytes(), kind, address])?;
        }
    }
    Ok(())
}

fn pairs(connection: &Connection, query: &str, user: UserId) -> rusqlite::Result<Vec<(String, String)>> {
    connection.prepare_cached(query)?.query_map([user.to_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Orders a notice to the address and the ways back.
pub(super) fn notify(connection: &Connection, user: UserId, told: &Addresses, kind: MailKind, at: Timestamp) -> rusqlite::Result<()> {
    told.at(at).told().into_iter().try_for_each(|address| mail::insert(connection, user, &NewMail { kind, address, at }))
}

/// Ends all addresses of an account.
pub(super) fn delete_all(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_ALL)?.execute([user.to_bytes()]).map(drop)
}

fn forget_ways_back(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    for delete in [DELETE_WAYS_BACK, DELETE_LINKS_BACK] {
        connection.prepare_cached(delete)?.execute([user.to_bytes()])?;
    }
    connection.prepare_cached(END_WAYS_BACK)?.execute([user.to_bytes()]).map(drop)
}

/// Frees some of the addresses whose time as a way back has long been over.
pub(super) fn tidy(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    let mut ended = connection.prepare_cached(SELECT_ENDED)?;
    let ended: Vec<UserId> =
        ended.query_map([at.plus_millis(-RECOVERY_GRACE_MILLIS).as_millis()], |row| rows::user_id(row, 0))?.collect::<Result<_, _>>()?;
    ended.into_iter().try_for_each(|user| forget_ways_back(connection, user))
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn every_query_walks_an_index_or_what_one_account_has() {
        for query in [SELECT_PRESENT, END_WAYS_BACK, SET_PRESENT, SET_WITHOUT_ADDRESS] {
            assert_plan(query, &["SEARCH users USING PRIMARY KEY (id=?)"]);
        }
        for query in [DELETE_KEY, SET_OWN, SET_WAY_BACK] {
            assert_plan(query, &["SEARCH addresses USING PRIMARY KEY (key=?)"]);
        }
        assert_plan(SELECT_OWNER, &["SEARCH addresses USING PRIMARY KEY (key=?)", "SEARCH users USING PRIMARY KEY (id=?)"]);
        assert_plan(SELECT_WAYS_BACK, &["SEARCH addresses USING INDEX addresses_of_user (user=? AND place>?)"]);
        assert_plan(DELETE_WAYS_BACK, &["SEARCH addresses USING INDEX addresses_of_user (user=? AND place>?)"]);
        assert_plan(DELETE_ALL, &["SEARCH addresses USING INDEX addresses_of_user (user=?)"]);
        assert_plan(DELETE_LINKS_BACK, &["SEARCH mail_tokens USING PRIMARY KEY (user=? AND purpose=?)"]);
        assert_plan(SELECT_LINKS, &["SEARCH mail_tokens USING PRIMARY KEY (user=?)"]);
        assert_plan(DELETE_LINK, &["SEARCH mail_tokens USING PRIMARY KEY (user=? AND purpose=? AND address_key=?)"]);
        for query in [SELECT_MAIL, DELETE_MAIL] {
            assert_plan(query, &["SEARCH mail USING INDEX mail_of_user (user=?)"]);
        }
        assert_plan(SELECT_ENDED, &["SEARCH users USING COVERING INDEX users_recovery (recovery_until<?)"]);
    }
}
