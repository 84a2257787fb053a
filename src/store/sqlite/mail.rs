//! The outbox and the tokens that are out, in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::{SqliteStore, registrations, rows};
use crate::domain::{MailPurpose, MailTokenHash, Timestamp, UserId};
use crate::store::{DueMail, Link, MAX_MAIL_PER_ACCOUNT, MAX_WAIT_MILLIS, MailStore, NewMail, NewMailToken, StoreError};

const INSERT_MAIL: &str = "
    INSERT INTO mail (id, user, kind, address, address_key, due_at, ordered_at, attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0)";
/// What the new one takes the place of, and what there is no room for besides.
const DELETE_REPLACED: &str = "
    DELETE FROM mail WHERE user = ?1 AND (kind = ?2 AND address_key = ?3
        OR id IN (SELECT id FROM mail WHERE user = ?1 ORDER BY ordered_at DESC, id DESC LIMIT -1 OFFSET ?4))";
const SELECT_ACCOUNT: &str = "SELECT 1 FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_DUE: &str = "
    SELECT mail.id, mail.user, username, held_until IS NOT NULL, kind, mail.address, ordered_at, attempts, begun, unsettled, link,
        recovery_until
    FROM mail CROSS JOIN users ON users.id = mail.user
    LEFT JOIN addresses ON addresses.key = mail.address_key AND addresses.user = mail.user AND place > 0 AND recovery_until > ?1
    WHERE due_at <= ?1 AND ifnull(held_until, ?1 + 1) > ?1 ORDER BY due_at, mail.id LIMIT 1";
/// What a clock that was ahead has put off.
const RECALL_MAIL: &str = "UPDATE mail SET due_at = ?1 WHERE due_at > ?2";
const LEASE_MAIL: &str = "UPDATE mail SET due_at = ?2 WHERE id = ?1";
const POSTPONE_MAIL: &str = "UPDATE mail SET due_at = ?3, attempts = ?4 WHERE id = ?1 AND unsettled = ?2";
const TAKE_LINK_BACK: &str = "UPDATE mail SET unsettled = ?2, begun = iif(?2 = 0, NULL, begun) WHERE id = ?1";
const DELETE_TOKEN: &str = "DELETE FROM mail_tokens WHERE hash = ?1";
const DELETE_MAIL: &str = "DELETE FROM mail WHERE id = ?1 AND unsettled = ?2";
const DELETE_ALL: &str = "DELETE FROM mail WHERE user = ?1";
/// Walks all of it: there is little, since mail is sent within seconds and no longer ordered when too much waits.
const COUNT_MAIL: &str = "SELECT count(*) FROM mail";
/// A mail that may begin, or go on with the token that it began with.
const SELECT_READY: &str = "
    SELECT 1 FROM mail WHERE id = ?1 AND unsettled = ?2 AND begun IS ?3
    AND (?3 IS NULL OR EXISTS (SELECT 1 FROM mail_tokens WHERE hash = ?3 AND mail_tokens.user = mail.user AND expires_at > ?4))";
const BEGIN_MAIL: &str = "UPDATE mail SET begun = ?2, unsettled = ?3 WHERE id = ?1";
const UPSERT_TOKEN: &str = "
    INSERT INTO mail_tokens (user, purpose, hash, address, expires_at, address_key)
    SELECT id, ?2, ?3, ?4, ?5, ?6 FROM users
    WHERE id = ?1 AND ?6 IN (email_key, ifnull(pending_email_key, iif(?2 = 'new_address', lower(pending_email), NULL)))
    ON CONFLICT (user, purpose, address_key) DO UPDATE SET hash = excluded.hash, address = excluded.address,
        expires_at = iif(mail_tokens.hash IS ?7, mail_tokens.expires_at, excluded.expires_at)";
const SELECT_WAITING: &str = "SELECT 1 FROM mail WHERE id = ?1 AND unsettled = ?2";
const UPSERT_LINK_BACK: &str = "
    INSERT INTO mail_tokens (user, purpose, hash, address, address_key)
    SELECT user, ?2, ?3, ?4, key FROM addresses WHERE key = ?5 AND user = ?1 AND link = ?6
    ON CONFLICT (user, purpose, address_key) DO UPDATE SET hash = excluded.hash, address = excluded.address";
const WISH_AS_LONG: &str = "UPDATE users SET pending_email_until = ?3 WHERE id = ?1 AND lower(pending_email) = ?2";

#[async_trait]
impl MailStore for SqliteStore {
    async fn order_mail(&self, user: UserId, mail: &NewMail) -> Result<(), StoreError> {
        let mail = mail.clone();
        self.write(move |connection| {
            if connection.prepare_cached(SELECT_ACCOUNT)?.exists([user.to_bytes()])? {
                insert(connection, user, &mail)?;
            }
            Ok(())
        })
        .await
    }

    async fn take_due_mail(&self, at: Timestamp, until: Timestamp) -> Result<Option<DueMail>, StoreError> {
        self.write(move |connection| {
            // What has expired is never due, but each search would come past it.
            registrations::tidy(connection, at)?;
            let latest = at.plus_millis(MAX_WAIT_MILLIS);
            connection.prepare_cached(RECALL_MAIL)?.execute([at.as_millis(), latest.as_millis()])?;
            let due = connection.prepare_cached(SELECT_DUE)?.query_row([at.as_millis()], rows::due_mail).optional()?;
            if let Some(mail) = &due {
                connection.prepare_cached(LEASE_MAIL)?.execute(params![mail.id.0, until.as_millis()])?;
            }
            Ok(due)
        })
        .await
    }

    async fn postpone_mail(&self, mail: &DueMail, until: Timestamp, link: Link) -> Result<(), StoreError> {
        let mail = mail.clone();
        self.write(move |connection| {
            let postpone = params![mail.id.0, mail.unsettled, until.as_millis(), mail.attempts];
            let is_postponed = connection.prepare_cached(POSTPONE_MAIL)?.execute(postpone)? > 0;
            if is_postponed && link == Link::TakenBack { take_link_back(connection, &mail) } else { Ok(()) }
        })
        .await
    }

    async fn finish_mail(&self, mail: &DueMail) -> Result<(), StoreError> {
        let (id, unsettled) = (mail.id, mail.unsettled);
        self.write(move |connection| {
            connection.prepare_cached(DELETE_MAIL)?.execute(params![id.0, unsettled])?;
            Ok(())
        })
        .await
    }

    async fn put_mail_token(&self, mail: &DueMail, token: &NewMailToken, at: Timestamp) -> Result<bool, StoreError> {
        let (mail, token) = (mail.clone(), token.clone());
        self.write(move |connection| put_token(connection, &mail, &token, at)).await
    }

    async fn count_mail(&self) -> Result<u64, StoreError> {
        self.read(|snapshot| snapshot.prepare_cached(COUNT_MAIL)?.query_row([], |row| rows::seq(row, 0))).await
    }
}

fn put_token(connection: &Connection, mail: &DueMail, token: &NewMailToken, at: Timestamp) -> rusqlite::Result<bool> {
    let (user, key) = (mail.user.to_bytes(), token.address.key());
    let (purpose, hash, address) = (token.purpose.as_str(), token.hash.to_bytes(), token.address.as_str());
    if let Some(link) = token.link {
        let put = params![user, purpose, hash, address, key.as_str(), link.0];
        return Ok(connection.prepare_cached(SELECT_WAITING)?.exists(params![mail.id.0, mail.unsettled])?
            && connection.prepare_cached(UPSERT_LINK_BACK)?.execute(put)? > 0);
    }
    let begun = mail.begun.map(MailTokenHash::to_bytes);
    if !connection.prepare_cached(SELECT_READY)?.exists(params![mail.id.0, mail.unsettled, begun, at.as_millis()])? {
        return Ok(false);
    }
    let expires_at = token.expires_at.as_millis();
    let put = params![user, purpose, hash, address, expires_at, key.as_str(), begun];
    if connection.prepare_cached(UPSERT_TOKEN)?.execute(put)? == 0 {
        return Ok(false);
    }
    let progress = params![mail.id.0, hash, mail.begun_with(token.hash).unsettled];
    connection.prepare_cached(BEGIN_MAIL)?.execute(progress)?;
    if begun.is_none() && token.purpose == MailPurpose::NewAddress {
        connection.prepare_cached(WISH_AS_LONG)?.execute(params![user, key.as_str(), expires_at])?;
    }
    Ok(true)
}

/// Has a mail forget an attempt, and its token with the last of them.
fn take_link_back(connection: &Connection, mail: &DueMail) -> rusqlite::Result<()> {
    let left = mail.unsettled.saturating_sub(1);
    connection.prepare_cached(TAKE_LINK_BACK)?.execute(params![mail.id.0, left])?;
    if let (0, Some(hash)) = (left, mail.begun) {
        connection.prepare_cached(DELETE_TOKEN)?.execute([hash.to_bytes()])?;
    }
    Ok(())
}

/// Orders a mail as part of a change.
pub(super) fn insert(connection: &Connection, user: UserId, mail: &NewMail) -> rusqlite::Result<()> {
    let (kind, address) = (mail.kind.as_str(), mail.address.key());
    let most = rows::to_sql_limit(MAX_MAIL_PER_ACCOUNT - 1);
    connection.prepare_cached(DELETE_REPLACED)?.execute(params![user.to_bytes(), kind, address.as_str(), most])?;
    connection.prepare_cached(INSERT_MAIL)?.execute(params![
        // In the order of ordering, for mail that is due at the same time.
        Uuid::now_v7().into_bytes(),
        user.to_bytes(),
        kind,
        mail.address.as_str(),
        address.as_str(),
        mail.at.as_millis(),
    ])?;
    Ok(())
}

/// Removes all that waits for an account, or a registration.
pub(super) fn delete_all(connection: &Connection, user: UserId) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_ALL)?.execute([user.to_bytes()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn every_query_walks_an_index_or_the_few_mails_of_one_account() {
        let of_user = "SEARCH mail USING INDEX mail_of_user (user=?)";
        assert_plan(DELETE_REPLACED, &[of_user, of_user, "USE TEMP B-TREE FOR ORDER BY"]);
        assert_plan(SELECT_ACCOUNT, &["SEARCH users USING PRIMARY KEY (id=?)"]);
        let due = [
            "SEARCH mail USING INDEX mail_due (due_at<?)",
            "SEARCH users USING PRIMARY KEY (id=?)",
            "SEARCH addresses USING PRIMARY KEY (key=?) LEFT-JOIN",
        ];
        assert_plan(SELECT_DUE, &due);
        assert_plan(RECALL_MAIL, &["SEARCH mail USING INDEX mail_due (due_at>?)"]);
        for query in [LEASE_MAIL, POSTPONE_MAIL, TAKE_LINK_BACK, BEGIN_MAIL, DELETE_MAIL] {
            assert_plan(query, &["SEARCH mail USING PRIMARY KEY (id=?)"]);
        }
        assert_plan(DELETE_ALL, &[of_user]);
        assert_plan(SELECT_WAITING, &["SEARCH mail USING PRIMARY KEY (id=?)"]);
        let token = "SEARCH mail_tokens USING INDEX mail_tokens_hash (hash=?)";
        assert_plan(SELECT_READY, &["SEARCH mail USING PRIMARY KEY (id=?)", token]);
        assert_plan(DELETE_TOKEN, &["SEARCH mail_tokens USING COVERING INDEX mail_tokens_hash (hash=?)"]);
        assert_plan(UPSERT_LINK_BACK, &["SEARCH addresses USING PRIMARY KEY (key=?)"]);
        for query in [UPSERT_TOKEN, WISH_AS_LONG] {
            assert_plan(query, &["SEARCH users USING PRIMARY KEY (id=?)"]);
        }
    }
}
