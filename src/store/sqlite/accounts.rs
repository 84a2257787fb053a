//! Accounts in SQLite. What is said about sessions, registrations and passwords is in files of their own.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::passwords::GoodToken;
use super::{SqliteStore, addresses, mail, passwords, registrations, rows, sessions, users};
use crate::domain::{Email, EmailKey, LinkId, MailPurpose, MailTokenHash, PasswordHash, Session, SessionKey, Timestamp, UserId};
use crate::store::{
    AccountStore, AddressToken, Authenticated, Change, Creation, Credentials, MailTokenOwner, MoveOutcome, MoveProof, NewAccount, NewMail,
    OwnCredentials, PendingRegistration, Registration, RegistrationOutcome, StoreError, User,
};

const INSERT_USER: &str = "
    INSERT INTO users (id, username, username_key, email, email_key, password_hash, is_email_verified, messages_from,
                       last_login, last_seen, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)
    ON CONFLICT DO NOTHING";
/// Nothing but an account has an address for its key.
const SELECT_CREDENTIALS: &str = "SELECT id, password_hash, is_email_verified FROM users WHERE email_key = ?1";
const SELECT_OWN_CREDENTIALS: &str = "SELECT username, email, is_email_verified, password_hash FROM users WHERE id = ?1";

#[async_trait]
impl AccountStore for SqliteStore {
    async fn create_account(&self, account: &NewAccount) -> Result<Creation, StoreError> {
        let account = account.clone();
        self.add(move |connection| Ok((create(connection, &account)?, None))).await
    }

    async fn create_registration(&self, registration: &Registration) -> Result<RegistrationOutcome, StoreError> {
        let registration = registration.clone();
        self.add(move |connection| Ok((registrations::insert(connection, &registration)?, None))).await
    }

    async fn repeat_registration(&self, checked: &PendingRegistration, mail: &NewMail) -> Result<bool, StoreError> {
        let (checked, mail) = (checked.clone(), mail.clone());
        self.write(move |connection| registrations::repeat(connection, &checked, &mail)).await
    }

    async fn find_credentials(&self, email: &EmailKey) -> Result<Option<Credentials>, StoreError> {
        let email = email.clone();
        self.read(move |snapshot| snapshot.prepare_cached(SELECT_CREDENTIALS)?.query_row([email.as_str()], rows::credentials).optional())
            .await
    }

    async fn start_session(
        &self,
        user: UserId,
        checked: &PasswordHash,
        renewed: Option<&PasswordHash>,
        session: &Session,
    ) -> Result<Option<User>, StoreError> {
        let (checked, renewed, session) = (checked.clone(), renewed.cloned(), session.clone());
        self.write_and_tell(move |connection| {
            let started = sessions::start(connection, user, &checked, renewed.as_ref(), &session)?;
            let news = started.is_some().then_some(Change::Access(user));
            Ok((started, news))
        })
        .await
    }

    async fn find_session(&self, key: &SessionKey) -> Result<Option<Authenticated<()>>, StoreError> {
        self.read_as(key, |_| Ok(())).await
    }

    async fn touch_session(&self, key: &SessionKey, at: Timestamp) -> Result<(), StoreError> {
        let key = *key;
        self.write(move |connection| sessions::touch(connection, &key, at)).await
    }

    async fn list_sessions(&self, key: &SessionKey) -> Result<Option<Authenticated<Vec<Session>>>, StoreError> {
        let user = key.user;
        self.read_as(key, move |snapshot| sessions::select_all(snapshot, user)).await
    }

    async fn end_session(&self, key: &SessionKey, at: Timestamp) -> Result<bool, StoreError> {
        let key = *key;
        self.write_and_tell(move |connection| {
            let ended = sessions::end(connection, &key, at)?;
            Ok((ended, ended.then_some(Change::Access(key.user))))
        })
        .await
    }

    async fn end_other_sessions(&self, key: &SessionKey) -> Result<(), StoreError> {
        let key = *key;
        self.write_and_tell(move |connection| {
            let ended = sessions::end_others(connection, &key)?;
            Ok(((), ended.then_some(Change::Access(key.user))))
        })
        .await
    }

    async fn find_own_credentials(&self, key: &SessionKey) -> Result<Option<Authenticated<OwnCredentials>>, StoreError> {
        let user = key.user;
        self.read_as(key, move |snapshot| {
            snapshot.prepare_cached(SELECT_OWN_CREDENTIALS)?.query_row([user.to_bytes()], rows::own_credentials)
        })
        .await
    }

    async fn change_password(
        &self,
        key: &SessionKey,
        checked: &PasswordHash,
        new: &PasswordHash,
        notice: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let (key, checked, new) = (*key, checked.clone(), new.clone());
        self.write_and_tell(move |connection| {
            let changed = passwords::change(connection, &key, &checked, &new, notice)?;
            Ok((changed, changed.then_some(Change::Access(key.user))))
        })
        .await
    }

    async fn find_address_owner(&self, email: &EmailKey, at: Timestamp) -> Result<Option<(UserId, Email)>, StoreError> {
        let email = email.clone();
        self.read(move |snapshot| addresses::select_owner(snapshot, &email, at)).await
    }

    async fn find_mail_token(
        &self,
        hash: &MailTokenHash,
        purpose: MailPurpose,
        at: Timestamp,
    ) -> Result<Option<MailTokenOwner>, StoreError> {
        let hash = *hash;
        self.read(move |snapshot| {
            let may_be = |token: &GoodToken| token.purpose == purpose || purpose == MailPurpose::PasswordReset && token.purpose.is_reset();
            let found = passwords::select_token(snapshot, &hash, at)?.filter(may_be);
            Ok(found.map(|token| token.owner))
        })
        .await
    }

    async fn find_address_token(&self, hash: &MailTokenHash, at: Timestamp) -> Result<Option<AddressToken>, StoreError> {
        let hash = *hash;
        self.read(move |snapshot| {
            let found = passwords::select_token(snapshot, &hash, at)?.filter(|token| !token.purpose.is_reset());
            Ok(found.map(GoodToken::into_address_token))
        })
        .await
    }

    async fn reset_password(
        &self,
        token: &MailTokenHash,
        new: &PasswordHash,
        at: Timestamp,
        notify: bool,
    ) -> Result<Option<UserId>, StoreError> {
        let (token, new) = (*token, new.clone());
        self.write_and_tell(move |connection| {
            let owner = passwords::reset(connection, &token, &new, at, notify)?;
            Ok((owner, owner.map(Change::Access)))
        })
        .await
    }

    async fn verify_email(&self, token: &MailTokenHash, at: Timestamp) -> Result<Option<UserId>, StoreError> {
        let token = *token;
        self.write(move |connection| registrations::verify(connection, &token, at)).await
    }

    async fn move_address(
        &self,
        token: &MailTokenHash,
        proof: &MoveProof,
        link: LinkId,
        at: Timestamp,
        notify: bool,
    ) -> Result<MoveOutcome, StoreError> {
        let (token, proof) = (*token, proof.clone());
        self.write(move |connection| passwords::move_address(connection, &token, &proof, link, at, notify)).await
    }

    async fn delete_account(&self, user: UserId, checked: &PasswordHash, at: Timestamp) -> Result<bool, StoreError> {
        let checked = checked.clone();
        self.write_and_tell(move |connection| {
            let deleted = passwords::delete_account(connection, user, &checked, at)?;
            Ok((deleted, deleted.then_some(Change::Access(user))))
        })
        .await
    }
}

fn create(connection: &Connection, account: &NewAccount) -> rusqlite::Result<Creation> {
    let user = &account.user;
    let (name, email) = (user.username.key(), user.email.key());
    registrations::free_name(connection, &name, user.created_at)?;
    addresses::tidy(connection, user.created_at)?;
    let inserted = connection.prepare_cached(INSERT_USER)?.execute(params![
        user.id.to_bytes(),
        user.username.as_str(),
        name.as_str(),
        user.email.as_str(),
        email.as_str(),
        account.password_hash.expose(),
        user.is_email_verified,
        user.messages_from.as_str(),
        user.last_login.map(Timestamp::as_millis),
        user.created_at.as_millis(),
    ])?;
    if inserted == 0 {
        let taken = users::is_username_taken(connection, &name, None)?;
        return Ok(if taken { Creation::UsernameTaken } else { Creation::EmailTaken });
    }
    if !addresses::claim(connection, user.id, &user.email, user.created_at)? {
        users::delete(connection, user.id)?;
        return Ok(Creation::EmailTaken);
    }
    sessions::insert(connection, user.id, &account.session)?;
    if let Some(mail) = &account.mail {
        mail::insert(connection, user.id, mail)?;
    }
    Ok(Creation::Created)
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn every_query_walks_an_index() {
        assert_plan(SELECT_CREDENTIALS, &["SEARCH users USING INDEX sqlite_autoindex_users_3 (email_key=?)"]);
        assert_plan(SELECT_OWN_CREDENTIALS, &["SEARCH users USING PRIMARY KEY (id=?)"]);
    }
}
