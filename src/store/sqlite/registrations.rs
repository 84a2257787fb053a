//! Records that only hold a user name: registrations that wait for their address to be verified, and deleted accounts.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{addresses, mail, passwords, rows};
use crate::domain::{MailTokenHash, Timestamp, UserId, UsernameKey};
use crate::store::{HOLD_REGISTRATION_MILLIS, NewMail, PendingRegistration, Registration, RegistrationOutcome};

const INSERT_REGISTRATION: &str = "
    INSERT INTO users (id, username, username_key, email, email_key, pending_email_key, password_hash, is_email_verified,
                       messages_from, created_at, held_until)
    VALUES (?1, ?2, ?3, ?4, 'pending:' || lower(hex(?1)), ?5, ?6, 0, 'everyone', ?7, ?8)
    ON CONFLICT DO NOTHING";
const SELECT_PENDING: &str = "SELECT id, password_hash, created_at FROM users WHERE username_key = ?1 AND pending_email_key IS NOT NULL";
const REPEAT_REGISTRATION: &str = "
    UPDATE users SET email = ?3, pending_email_key = ?4, held_until = max(held_until, ?6)
    WHERE id = ?1 AND password_hash = ?2 AND pending_email_key IS NOT NULL AND held_until > ?5";
const SELECT_UNVERIFIED: &str = "SELECT pending_email_key IS NOT NULL, email FROM users WHERE id = ?1 AND NOT is_email_verified";
const ACTIVATE: &str = "
    UPDATE users SET email_key = pending_email_key, pending_email_key = NULL, held_until = NULL WHERE id = ?1";
const VERIFY: &str = "UPDATE users SET is_email_verified = 1 WHERE id = ?1";
const DELETE_TOKEN: &str = "DELETE FROM mail_tokens WHERE hash = ?1";
const FREE_NAME: &str = "DELETE FROM users WHERE username_key = ?1 AND held_until <= ?2";
/// Takes more records away than one change adds, so that expired ones do not pile up.
const TIDY: &str = "
    DELETE FROM users WHERE id IN (SELECT id FROM users WHERE held_until <= ?1 ORDER BY held_until LIMIT 16)";

/// Notes a registration.
pub(super) fn insert(connection: &Connection, registration: &Registration) -> rusqlite::Result<RegistrationOutcome> {
    tidy(connection, registration.created_at)?;
    let name = registration.username.key();
    free_name(connection, &name, registration.created_at)?;
    let inserted = connection.prepare_cached(INSERT_REGISTRATION)?.execute(params![
        registration.id.to_bytes(),
        registration.username.as_str(),
        name.as_str(),
        registration.email.as_str(),
        registration.email.key().as_str(),
        registration.password_hash.expose(),
        registration.created_at.as_millis(),
        registration.created_at.plus_millis(HOLD_REGISTRATION_MILLIS).as_millis(),
    ])?;
    if inserted > 0 {
        mail::insert(connection, registration.id, &registration.mail)?;
        return Ok(RegistrationOutcome::Noted);
    }
    let pending = connection.prepare_cached(SELECT_PENDING)?.query_row([name.as_str()], rows::pending_registration).optional()?;
    Ok(pending.map_or(RegistrationOutcome::UsernameTaken, RegistrationOutcome::Pending))
}

/// Gives a registration the address of a further mail; `false` when it no longer waits.
pub(super) fn repeat(connection: &Connection, checked: &PendingRegistration, mail: &NewMail) -> rusqlite::Result<bool> {
    let repeated = connection.prepare_cached(REPEAT_REGISTRATION)?.execute(params![
        checked.id.to_bytes(),
        checked.password_hash.expose(),
        mail.address.as_str(),
        mail.address.key().as_str(),
        mail.at.as_millis(),
        checked.held_until(mail.at).as_millis(),
    ])?;
    if repeated > 0 {
        passwords::void_tokens(connection, checked.id)?;
        mail::delete_all(connection, checked.id)?;
        mail::insert(connection, checked.id, mail)?;
    }
    Ok(repeated > 0)
}

/// Verifies the address that a token was sent to, and makes its registration an account if it is one.
pub(super) fn verify(connection: &Connection, token: &MailTokenHash, at: Timestamp) -> rusqlite::Result<Option<UserId>> {
    let Some(found) = passwords::select_token(connection, token, at)?.filter(|token| !token.purpose.is_reset()) else { return Ok(None) };
    let user = found.owner.user;
    let unverified = connection
        .prepare_cached(SELECT_UNVERIFIED)?
        .query_row([user.to_bytes()], |row| Ok((row.get::<_, bool>(0)?, rows::email(row, 1)?)))
        .optional()?;
    let Some((is_pending, email)) = unverified else { return Ok(None) };
    if is_pending {
        if !addresses::claim(connection, user, &email, at)? {
            return Ok(None);
        }
        connection.prepare_cached(ACTIVATE)?.execute([user.to_bytes()])?;
    }
    connection.prepare_cached(VERIFY)?.execute([user.to_bytes()])?;
    connection.prepare_cached(DELETE_TOKEN)?.execute([token.to_bytes()])?;
    Ok(Some(user))
}

/// Removes the record that holds a user name if its time is over.
pub(super) fn free_name(connection: &Connection, name: &UsernameKey, at: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached(FREE_NAME)?.execute(params![name.as_str(), at.as_millis()])?;
    Ok(())
}

/// Removes some of the records whose time is over, with their mail and tokens.
pub(super) fn tidy(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    addresses::tidy(connection, at)?;
    connection.prepare_cached(TIDY)?.execute([at.as_millis()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema::{assert_plan, in_memory};
    use super::*;
    use crate::domain::{Email, MailKind, PasswordHash, Username};
    use crate::store::NewMail;

    /// Notes a registration under a name of its own, with its mail.
    fn register(connection: &Connection, number: usize, created_at: Timestamp) {
        let email = Email::parse("ann@example.com").expect("an address");
        let registration = Registration {
            id: UserId::generate(),
            username: Username::parse(&["ann", &number.to_string()].concat()).expect("a name"),
            email: email.clone(),
            password_hash: PasswordHash::new("hash".to_owned()),
            created_at,
            mail: NewMail { kind: MailKind::Verification, address: email, at: created_at },
        };
        assert!(matches!(insert(connection, &registration).expect("an answer"), RegistrationOutcome::Noted));
    }

    #[test]
    fn expired_registrations_do_not_pile_up() {
        let connection = in_memory();
        let begin = Timestamp::from_millis(0);
        for number in 0..100 {
            register(&connection, number, begin);
        }
        for number in 100..110 {
            register(&connection, number, begin.plus_millis(HOLD_REGISTRATION_MILLIS));
        }
        for table in ["SELECT count(*) FROM users", "SELECT count(*) FROM mail"] {
            let left: i64 = connection.query_row(table, [], |row| row.get(0)).expect("a number");
            assert_eq!(left, 10, "{table}");
        }
    }

    #[test]
    fn every_query_walks_an_index() {
        let by_id = "SEARCH users USING PRIMARY KEY (id=?)";
        assert_plan(DELETE_TOKEN, &["SEARCH mail_tokens USING COVERING INDEX mail_tokens_hash (hash=?)"]);
        for query in [SELECT_UNVERIFIED, ACTIVATE, VERIFY, REPEAT_REGISTRATION] {
            assert_plan(query, &[by_id]);
        }
        let with_all_that_is_theirs = [
            "SEARCH mail_tokens USING PRIMARY KEY (user=?)",
            "SEARCH addresses USING INDEX addresses_of_user (user=?)",
            "SEARCH mail USING INDEX mail_of_user (user=?)",
            "SEARCH blocks USING COVERING INDEX blocks_in_order (user=?)",
            "SEARCH friends USING COVERING INDEX friends_in_order (user=?)",
            "SEARCH sessions USING PRIMARY KEY (user=?)",
        ];
        let by_name = ["SEARCH users USING INDEX sqlite_autoindex_users_2 (username_key=?)"];
        assert_plan(FREE_NAME, &[&by_name[..], &with_all_that_is_theirs].concat());
        assert_plan(SELECT_PENDING, &by_name);
        let expired = [by_id, "SEARCH users USING COVERING INDEX users_held (held_until<?)"];
        assert_plan(TIDY, &[&expired[..], &with_all_that_is_theirs].concat());
    }
}
