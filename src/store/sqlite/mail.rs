//! The outbox and the tokens that are out, in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::{SqliteStore, registrations, rows};
use crate::domain::{Timestamp, UserId};
use crate::store::{DueMail, MAX_MAIL_PER_ACCOUNT, MailStore, NewMail, NewMailToken, StoreError};

const INSERT_MAIL: &str = "
    INSERT INTO mail (id, user, kind, address, address_key, due_at, ordered_at, attempts)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?6, 0 WHERE (SELECT count(*) FROM mail WHERE user = ?2) < ?7";
const SELECT_ACCOUNT: &str = "SELECT 1 FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_DUE: &str = "
    SELECT mail.id, user, username, held_until IS NOT NULL, kind, address, ordered_at, attempts
    FROM mail CROSS JOIN users ON users.id = user
    WHERE due_at <= ?1 AND ifnull(held_until, ?1 + 1) > ?1 ORDER BY due_at, mail.id LIMIT 1";
const LEASE_MAIL: &str = "UPDATE mail SET due_at = ?2 WHERE id = ?1";
/// Repeating it counts no attempt twice.
const POSTPONE_MAIL: &str = "UPDATE mail SET due_at = ?2, attempts = ?3 WHERE id = ?1";
const DELETE_MAIL: &str = "
    DELETE FROM mail WHERE user = ?1 AND (id = ?2 OR kind = ?3 AND address_key = ?4 AND ordered_at <= ?5)";
const DELETE_ALL: &str = "DELETE FROM mail WHERE user = ?1";
/// Walks all of it: there is little, since mail is sent within seconds and no longer ordered when too much waits.
const COUNT_MAIL: &str = "SELECT count(*) FROM mail";
const UPSERT_TOKEN: &str = "
    INSERT INTO mail_tokens (user, purpose, hash, address, expires_at)
    SELECT id, ?2, ?3, ?4, ?5 FROM users
    WHERE id = ?1 AND (?6 = email_key OR ?6 = iif(?2 = 'password_reset', previous_email_key, pending_email_key))
    ON CONFLICT (user, purpose) DO UPDATE SET hash = excluded.hash, address = excluded.address, expires_at = excluded.expires_at";

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
            let due = connection.prepare_cached(SELECT_DUE)?.query_row([at.as_millis()], rows::due_mail).optional()?;
            if let Some(mail) = &due {
                connection.prepare_cached(LEASE_MAIL)?.execute(params![mail.id.0, until.as_millis()])?;
            }
            Ok(due)
        })
        .await
    }

    async fn postpone_mail(&self, mail: &DueMail, until: Timestamp) -> Result<(), StoreError> {
        let (id, attempts) = (mail.id, mail.attempts.saturating_add(1));
        self.write(move |connection| {
            connection.prepare_cached(POSTPONE_MAIL)?.execute(params![id.0, until.as_millis(), attempts])?;
            Ok(())
        })
        .await
    }

    async fn finish_mail(&self, mail: &DueMail) -> Result<(), StoreError> {
        let mail = mail.clone();
        self.write(move |connection| {
            connection.prepare_cached(DELETE_MAIL)?.execute(params![
                mail.user.to_bytes(),
                mail.id.0,
                mail.kind.as_str(),
                mail.address.key().as_str(),
                mail.ordered_at.as_millis(),
            ])?;
            Ok(())
        })
        .await
    }

    async fn put_mail_token(&self, user: UserId, token: &NewMailToken) -> Result<bool, StoreError> {
        let token = token.clone();
        self.write(move |connection| {
            let put = connection.prepare_cached(UPSERT_TOKEN)?.execute(params![
                user.to_bytes(),
                token.purpose.as_str(),
                token.hash.to_bytes(),
                token.address.as_str(),
                token.expires_at.as_millis(),
                token.address.key().as_str(),
            ])?;
            Ok(put > 0)
        })
        .await
    }

    async fn count_mail(&self) -> Result<u64, StoreError> {
        self.read(|snapshot| snapshot.prepare_cached(COUNT_MAIL)?.query_row([], |row| rows::seq(row, 0))).await
    }
}

/// Orders a mail as part of a change, unless too much waits already.
pub(super) fn insert(connection: &Connection, user: UserId, mail: &NewMail) -> rusqlite::Result<()> {
    connection.prepare_cached(INSERT_MAIL)?.execute(params![
        // In the order of ordering, for mail that is due at the same time.
        Uuid::now_v7().into_bytes(),
        user.to_bytes(),
        mail.kind.as_str(),
        mail.address.as_str(),
        mail.address.key().as_str(),
        mail.at.as_millis(),
        rows::to_sql_limit(MAX_MAIL_PER_ACCOUNT),
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
        let of_user = "SEARCH mail USING COVERING INDEX mail_of_user (user=?)";
        assert_plan(INSERT_MAIL, &["SCAN CONSTANT ROW", of_user]);
        assert_plan(SELECT_ACCOUNT, &["SEARCH users USING PRIMARY KEY (id=?)"]);
        let due = ["SEARCH mail USING INDEX mail_due (due_at<?)", "SEARCH users USING PRIMARY KEY (id=?)"];
        assert_plan(SELECT_DUE, &due);
        assert_plan(LEASE_MAIL, &["SEARCH mail USING PRIMARY KEY (id=?)"]);
        assert_plan(POSTPONE_MAIL, &["SEARCH mail USING PRIMARY KEY (id=?)"]);
        for query in [DELETE_MAIL, DELETE_ALL] {
            assert_plan(query, &["SEARCH mail USING INDEX mail_of_user (user=?)"]);
        }
        assert_plan(UPSERT_TOKEN, &["SEARCH users USING PRIMARY KEY (id=?)"]);
    }
}
