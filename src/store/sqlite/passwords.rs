//! Changes that somebody's password, or a mail to their address, lets them make, in SQLite.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{addresses, mail, rows, sessions};
use crate::domain::{Addresses, LinkId, MailKind, MailPurpose, MailTokenHash, PasswordHash, SessionKey, Timestamp, UserId};
use crate::store::{AddressToken, HOLD_DELETED_NAME_MILLIS, MailTokenOwner, MoveOutcome, MoveProof};

const CHANGE_PASSWORD: &str = "
    UPDATE users SET password_hash = ?4
    WHERE id = ?1 AND password_hash = ?3 AND EXISTS (SELECT 1 FROM sessions WHERE user = ?1 AND hash = ?2)";
const SELECT_TOKEN: &str = "
    SELECT user, username, address, purpose, password_hash, is_email_verified AND held_until IS NULL, expires_at
    FROM mail_tokens CROSS JOIN users ON users.id = user
    WHERE hash = ?1 AND coalesce(expires_at, recovery_until) > ?2 AND ifnull(held_until, ?2 + 1) > ?2";
const DELETE_TOKENS: &str = "DELETE FROM mail_tokens WHERE user = ?1";
const RESET_PASSWORD: &str = "UPDATE users SET password_hash = ?2 WHERE id = ?1";
const PASSWORD_IS: &str = "SELECT 1 FROM users WHERE id = ?1 AND password_hash = ?2";
const BURY: &str = "
    UPDATE users SET
        username = '', email = '', email_key = 'deleted:' || lower(hex(id)), password_hash = '', is_email_verified = 0,
        messages_from = 'everyone', last_login = NULL, last_seen = NULL,
        pending_email = NULL, pending_email_until = NULL, recovery_until = NULL, held_until = ?3
    WHERE id = ?1 AND password_hash = ?2 AND held_until IS NULL";
const DELETE_WHAT_IS_THEIRS: [&str; 3] =
    ["DELETE FROM friends WHERE user = ?1", "DELETE FROM friends WHERE friend = ?1", "DELETE FROM blocks WHERE user = ?1"];

/// A token that is good.
pub(super) struct GoodToken {
    pub(super) owner: MailTokenOwner,
    pub(super) purpose: MailPurpose,
    pub(super) password_hash: PasswordHash,
    /// Whether it is an account's whose address is verified.
    pub(super) is_verified: bool,
}

impl GoodToken {
    /// Whether the token moves a verified account.
    pub(super) fn is_move(&self) -> bool {
        self.purpose == MailPurpose::NewAddress && self.is_verified
    }

    pub(super) fn into_address_token(self) -> AddressToken {
        AddressToken { is_move: self.is_move(), owner: self.owner, password_hash: self.password_hash }
    }
}

/// Sets a new password by the one that was checked.
pub(super) fn change(
    connection: &Connection,
    key: &SessionKey,
    checked: &PasswordHash,
    new: &PasswordHash,
    notice: Option<Timestamp>,
) -> rusqlite::Result<bool> {
    let change = params![key.user.to_bytes(), key.session.to_bytes(), checked.expose(), new.expose()];
    if connection.prepare_cached(CHANGE_PASSWORD)?.execute(change)? == 0 {
        return Ok(false);
    }
    sessions::end_others(connection, key)?;
    let Some(seen) = addresses::select(connection, key.user)? else { return Ok(true) };
    let next = Addresses { pending: None, ..seen.clone() };
    addresses::write(connection, key.user, &next, None)?;
    if let Some(at) = notice {
        addresses::notify(connection, key.user, &seen, MailKind::PasswordChanged, at)?;
    }
    Ok(true)
}

/// Whose a token is that may be used, and for what.
pub(super) fn select_token(connection: &Connection, hash: &MailTokenHash, at: Timestamp) -> rusqlite::Result<Option<GoodToken>> {
    let query = params![hash.to_bytes(), at.as_millis()];
    let found = connection
        .prepare_cached(SELECT_TOKEN)?
        .query_row(query, |row| Ok((rows::good_token(row)?, rows::optional_time(row, 6)?)))
        .optional()?;
    Ok(found.filter(|(token, end)| end.is_none_or(|end| token.purpose.can_end(end, at))).map(|(token, _)| token))
}

/// Ends all links of an account, or a registration.
pub(super) fn void_tokens(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_TOKENS)?.execute([user.to_bytes()]).map(drop)
}

/// Sets a new password by a token.
pub(super) fn reset(
    connection: &Connection,
    token: &MailTokenHash,
    new: &PasswordHash,
    at: Timestamp,
    notify: bool,
) -> rusqlite::Result<Option<UserId>> {
    let found = select_token(connection, token, at)?.filter(|token| token.purpose.is_reset());
    let Some(GoodToken { owner: MailTokenOwner { user, address, .. }, .. }) = found else { return Ok(None) };
    let Some(seen) = addresses::select(connection, user)? else { return Ok(None) };
    let Some(next) = seen.at(at).reset_by(&address.key(), at) else { return Ok(None) };
    connection.prepare_cached(RESET_PASSWORD)?.execute(params![user.to_bytes(), new.expose()])?;
    addresses::change(connection, user, &seen, &next, Some(&address.key()), at)?;
    sessions::end_all(connection, user)?;
    if notify {
        addresses::notify(connection, user, &seen, MailKind::PasswordChanged, at)?;
    }
    Ok(Some(user))
}

/// Moves an account to the address that a token was sent to.
pub(super) fn move_address(
    connection: &Connection,
    token: &MailTokenHash,
    proof: &MoveProof,
    link: LinkId,
    at: Timestamp,
    notify: bool,
) -> rusqlite::Result<MoveOutcome> {
    let Some(found) = select_token(connection, token, at)?.filter(GoodToken::is_move) else { return Ok(MoveOutcome::Refused) };
    let user = found.owner.user;
    let is_proven = match proof {
        MoveProof::Session(session) => sessions::select(connection, &SessionKey { user, session: *session })?.is_some(),
        MoveProof::Password(hash) => connection.prepare_cached(PASSWORD_IS)?.exists(params![user.to_bytes(), hash.expose()])?,
    };
    let Some(seen) = addresses::select(connection, user)?.filter(|_| is_proven) else { return Ok(MoveOutcome::Refused) };
    let next = match seen.at(at).confirmed(link, at) {
        Ok(Some(next)) => next,
        Ok(None) => return Ok(MoveOutcome::Refused),
        Err(_full) => return Ok(MoveOutcome::TooMany),
    };
    if !addresses::change(connection, user, &seen, &next, Some(&found.owner.address.key()), at)? {
        addresses::write(connection, user, &Addresses { pending: None, ..seen }, None)?;
        return Ok(MoveOutcome::Taken);
    }
    if notify {
        addresses::notify(connection, user, &seen, MailKind::AddressChanged, at)?;
    }
    Ok(MoveOutcome::Moved)
}

/// Makes an account one that only holds its user name.
pub(super) fn delete_account(connection: &Connection, user: UserId, checked: &PasswordHash, at: Timestamp) -> rusqlite::Result<bool> {
    let held_until = at.plus_millis(HOLD_DELETED_NAME_MILLIS).as_millis();
    if connection.prepare_cached(BURY)?.execute(params![user.to_bytes(), checked.expose(), held_until])? == 0 {
        return Ok(false);
    }
    sessions::end_all(connection, user)?;
    addresses::delete_all(connection, user)?;
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
        for query in [RESET_PASSWORD, PASSWORD_IS, BURY] {
            assert_plan(query, &[by_id]);
        }
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
