//! Changes that somebody's password, or a mail to their address, lets them make, in SQLite.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{mail, rows, sessions};
use crate::domain::{Email, EmailKey, MailKind, MailPurpose, MailTokenHash, PasswordHash, SessionKey, Timestamp, UserId};
use crate::store::{HOLD_DELETED_NAME_MILLIS, MailTokenOwner, NewMail};

const CHANGE_PASSWORD: &str = "
    UPDATE users SET password_hash = ?4
    WHERE id = ?1 AND password_hash = ?3 AND EXISTS (SELECT 1 FROM sessions WHERE user = ?1 AND hash = ?2)";
const SELECT_PRESENT_ADDRESS: &str = "SELECT id, email, is_email_verified FROM users WHERE email_key = ?1";
const SELECT_PREVIOUS_ADDRESS: &str = "
    SELECT id, previous_email FROM users
    WHERE previous_email_key = ?1 AND previous_email_until > ?2 ORDER BY previous_email_until LIMIT 1";
const SELECT_TOKEN: &str = "
    SELECT user, username, address FROM mail_tokens CROSS JOIN users ON users.id = user
    WHERE hash = ?1 AND purpose = ?2 AND expires_at > ?3 AND ifnull(held_until, ?3 + 1) > ?3";
const DELETE_TOKENS: &str = "DELETE FROM mail_tokens WHERE user = ?1";
const RESET_PASSWORD: &str = "UPDATE users SET password_hash = ?2 WHERE id = ?1";
/// Takes an address from another account that has not verified it.
const TAKE_ADDRESS_AWAY: &str = "
    UPDATE users SET email = '', email_key = 'lost:' || lower(hex(id))
    WHERE email_key = ?2 AND id <> ?1 AND is_email_verified = 0 AND held_until IS NULL RETURNING id";
/// Leaves everything as it is when somebody else has the address.
const RESTORE_ADDRESS: &str = "UPDATE OR IGNORE users SET email = ?2, email_key = ?3, is_email_verified = 1 WHERE id = ?1";
const FORGET_PREVIOUS_ADDRESS: &str = "
    UPDATE users SET previous_email = NULL, previous_email_key = NULL, previous_email_until = NULL
    WHERE id = ?1 AND previous_email_key = email_key";
const BURY: &str = "
    UPDATE users SET
        username = '', email = '', email_key = 'deleted:' || lower(hex(id)), password_hash = '', is_email_verified = 0,
        messages_from = 'everyone', last_login = NULL, last_seen = NULL,
        previous_email = NULL, previous_email_key = NULL, previous_email_until = NULL, held_until = ?3
    WHERE id = ?1 AND password_hash = ?2 AND held_until IS NULL";
const DELETE_WHAT_IS_THEIRS: [&str; 3] =
    ["DELETE FROM friends WHERE user = ?1", "DELETE FROM friends WHERE friend = ?1", "DELETE FROM blocks WHERE user = ?1"];

/// Sets a new password by the one that was checked.
pub(super) fn change(
    connection: &Connection,
    key: &SessionKey,
    checked: &PasswordHash,
    new: &PasswordHash,
    notice: Option<&NewMail>,
) -> rusqlite::Result<bool> {
    let change = params![key.user.to_bytes(), key.session.to_bytes(), checked.expose(), new.expose()];
    if connection.prepare_cached(CHANGE_PASSWORD)?.execute(change)? == 0 {
        return Ok(false);
    }
    sessions::end_others(connection, key)?;
    void_tokens(connection, key.user)?;
    if let Some(notice) = notice {
        mail::insert(connection, key.user, notice)?;
    }
    Ok(true)
}

/// Whom a mail to an address may let back in.
pub(super) fn select_reset_address(connection: &Connection, email: &EmailKey, at: Timestamp) -> rusqlite::Result<Option<(UserId, Email)>> {
    let owner = |row: &rusqlite::Row<'_>| Ok((rows::user_id(row, 0)?, rows::email(row, 1)?));
    let with_state = |row: &rusqlite::Row<'_>| Ok((owner(row)?, row.get::<_, bool>(2)?));
    let present = connection.prepare_cached(SELECT_PRESENT_ADDRESS)?.query_row([email.as_str()], with_state).optional()?;
    if let Some((owner, true)) = present {
        return Ok(Some(owner));
    }
    let had_it = params![email.as_str(), at.as_millis()];
    let previous = connection.prepare_cached(SELECT_PREVIOUS_ADDRESS)?.query_row(had_it, owner).optional()?;
    Ok(previous.or(present.map(|(owner, _)| owner)))
}

/// Whose a token is that may be used.
pub(super) fn select_token(
    connection: &Connection,
    hash: &MailTokenHash,
    purpose: MailPurpose,
    at: Timestamp,
) -> rusqlite::Result<Option<MailTokenOwner>> {
    connection
        .prepare_cached(SELECT_TOKEN)?
        .query_row(params![hash.to_bytes(), purpose.as_str(), at.as_millis()], rows::mail_token_owner)
        .optional()
}

/// Makes all tokens of an account useless.
pub(super) fn void_tokens(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_TOKENS)?.execute([user.to_bytes()])?;
    Ok(())
}

/// Sets a new password by a token.
pub(super) fn reset(
    connection: &Connection,
    token: &MailTokenHash,
    new: &PasswordHash,
    at: Timestamp,
    notify: bool,
) -> rusqlite::Result<Option<UserId>> {
    let Some(MailTokenOwner { user, address, .. }) = select_token(connection, token, MailPurpose::PasswordReset, at)? else {
        return Ok(None);
    };
    connection.prepare_cached(RESET_PASSWORD)?.execute(params![user.to_bytes(), new.expose()])?;
    take_address_away(connection, user, &address.key())?;
    connection.prepare_cached(RESTORE_ADDRESS)?.execute(params![user.to_bytes(), address.as_str(), address.key().as_str()])?;
    connection.prepare_cached(FORGET_PREVIOUS_ADDRESS)?.execute([user.to_bytes()])?;
    sessions::end_all(connection, user)?;
    void_tokens(connection, user)?;
    if notify {
        mail::insert(connection, user, &NewMail { kind: MailKind::PasswordChanged, address, at })?;
    }
    Ok(Some(user))
}

/// Frees an address for the account that has shown that it is its own, unless another one has verified it.
fn take_address_away(connection: &Connection, owner: UserId, address: &EmailKey) -> rusqlite::Result<()> {
    let taken = params![owner.to_bytes(), address.as_str()];
    let loser = connection.prepare_cached(TAKE_ADDRESS_AWAY)?.query_row(taken, |row| rows::user_id(row, 0)).optional()?;
    let Some(loser) = loser else { return Ok(()) };
    void_tokens(connection, loser)?;
    mail::delete_all(connection, loser)
}

/// Makes an account one that only holds its user name.
pub(super) fn delete_account(connection: &Connection, user: UserId, checked: &PasswordHash, at: Timestamp) -> rusqlite::Result<bool> {
    let held_until = at.plus_millis(HOLD_DELETED_NAME_MILLIS).as_millis();
    if connection.prepare_cached(BURY)?.execute(params![user.to_bytes(), checked.expose(), held_until])? == 0 {
        return Ok(false);
    }
    sessions::end_all(connection, user)?;
    void_tokens(connection, user)?;
    mail::delete_all(connection, user)?;
    for delete in DELETE_WHAT_IS_THEIRS {
        connection.prepare_cached(delete)?.execute([user.to_bytes()])?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn every_query_walks_an_index() {
        let by_id = "SEARCH users USING PRIMARY KEY (id=?)";
        assert_plan(CHANGE_PASSWORD, &[by_id, "SEARCH sessions USING PRIMARY KEY (user=? AND hash=?)"]);
        for query in [RESET_PASSWORD, RESTORE_ADDRESS, FORGET_PREVIOUS_ADDRESS, BURY] {
            assert_plan(query, &[by_id]);
        }
        for query in [SELECT_PRESENT_ADDRESS, TAKE_ADDRESS_AWAY] {
            assert_plan(query, &["SEARCH users USING INDEX sqlite_autoindex_users_3 (email_key=?)"]);
        }
        let kept = "SEARCH users USING INDEX users_previous_email (previous_email_key=? AND previous_email_until>?)";
        assert_plan(SELECT_PREVIOUS_ADDRESS, &[kept]);
        assert_plan(SELECT_TOKEN, &["SEARCH mail_tokens USING INDEX mail_tokens_hash (hash=?)", by_id]);
        assert_plan(DELETE_TOKENS, &["SEARCH mail_tokens USING PRIMARY KEY (user=?)"]);
        let walks = [
            "SEARCH friends USING COVERING INDEX friends_in_order (user=?)",
            "SEARCH friends USING COVERING INDEX friends_of (friend=?)",
            "SEARCH blocks USING COVERING INDEX blocks_in_order (user=?)",
        ];
        for (query, walk) in DELETE_WHAT_IS_THEIRS.into_iter().zip(walks) {
            assert_plan(query, &[walk]);
        }
    }
}
