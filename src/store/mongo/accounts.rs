//! Accounts and sessions in MongoDB.

use async_trait::async_trait;
use mongodb::bson::{Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{SessionDocument, USERS, UserDocument, session_key, time, user_id, user_key};
use super::mail_tokens::GoodToken;
use super::moves::AddressMove;
use super::names::{Claim, Taken};
use super::sessions::{self, SessionsDocument};
use crate::domain::{Email, EmailKey, LinkId, MailPurpose, MailTokenHash, PasswordHash, Session, SessionKey, Timestamp, UserId, Username};
use crate::store::{
    AccountStore, AddressToken, Authenticated, Change, Creation, Credentials, MailTokenOwner, MoveOutcome, MoveProof, NewAccount, NewMail,
    OwnCredentials, PendingRegistration, Registration, RegistrationOutcome, StoreError, User,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialsDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    password_hash: String,
    is_email_verified: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnCredentialsDocument {
    username: String,
    email: String,
    is_email_verified: bool,
    password_hash: String,
    sessions: Vec<SessionDocument>,
}

#[async_trait]
impl AccountStore for MongoStore {
    async fn create_account(&self, account: &NewAccount) -> Result<Creation, StoreError> {
        let user = &account.user;
        let claim = Claim { owner: user.id, username: Some(user.username.key()), email: Some(user.email.key()) };
        let mail = account.mail.as_ref().map(|mail| self.connection.clock.order(mail));
        let insert = || self.insert_user(UserDocument::of_account(account, mail.as_ref()));
        let inserted = self.unless_taken(&claim, user.created_at, insert).await?;
        Ok(match inserted {
            Ok(()) => Creation::Created,
            Err(Taken::Username | Taken::Pending(_)) => Creation::UsernameTaken,
            Err(Taken::Email) => Creation::EmailTaken,
        })
    }

    async fn create_registration(&self, registration: &Registration) -> Result<RegistrationOutcome, StoreError> {
        let claim = Claim { owner: registration.id, username: Some(registration.username.key()), email: None };
        let mail = self.connection.clock.order(&registration.mail);
        let insert = || self.insert_user(UserDocument::of_registration(registration, &mail));
        Ok(match self.unless_taken(&claim, registration.created_at, insert).await? {
            Ok(()) => RegistrationOutcome::Noted,
            Err(Taken::Pending(pending)) => RegistrationOutcome::Pending(pending),
            Err(Taken::Username | Taken::Email) => RegistrationOutcome::UsernameTaken,
        })
    }

    async fn repeat_registration(&self, checked: &PendingRegistration, mail: &NewMail) -> Result<bool, StoreError> {
        self.replace_registered_address(checked, mail).await
    }

    async fn find_credentials(&self, email: &EmailKey) -> Result<Option<Credentials>, StoreError> {
        let filter = doc! { "emailKey": email.as_str() };
        let found: Option<CredentialsDocument> = self.find_one(USERS, filter, doc! { "passwordHash": 1, "isEmailVerified": 1 }).await?;
        Ok(found.map(|found| Credentials {
            user: user_id(found.id),
            password_hash: PasswordHash::new(found.password_hash),
            is_email_verified: found.is_email_verified,
        }))
    }

    async fn start_session(
        &self,
        user: UserId,
        checked: &PasswordHash,
        renewed: Option<&PasswordHash>,
        session: &Session,
    ) -> Result<Option<User>, StoreError> {
        let mut pushed = session.clone();
        loop {
            let Some(person) = self.push_session(user, checked, renewed, &pushed).await? else {
                if self.restamp_sessions(user, checked, session.created_at).await? {
                    continue;
                }
                return Ok(None);
            };
            self.listeners.tell(&Change::Access(user));
            if person.sessions.iter().any(|stored| stored.is_of(session.hash)) {
                return person.into_user().map(Some).map_err(StoreError::broken);
            }
            // On instances whose clocks run ahead all the others were used later than now, so the cap took the new
            // one. It goes first by being used later than they.
            let latest = person.sessions.iter().map(|stored| time(stored.last_used_at)).max();
            pushed.last_used_at = latest.unwrap_or(pushed.last_used_at).plus_millis(1);
        }
    }

    async fn find_session(&self, key: &SessionKey) -> Result<Option<Authenticated<()>>, StoreError> {
        let projection = doc! { "_id": 0, "sessions": sessions::only(key) };
        let found: Option<SessionsDocument> = self.find_one(USERS, sessions::owner_of(key), projection).await?;
        let Some(found) = found else { return Ok(None) };
        let session = sessions::pick(found.sessions, key).map_err(StoreError::broken)?;
        Ok(session.map(|session| Authenticated { session, record: () }))
    }

    async fn touch_session(&self, key: &SessionKey, at: Timestamp) -> Result<(), StoreError> {
        let (filter, update) = sessions::touch(key, at);
        self.update_user(filter, update).await.map(drop)
    }

    async fn list_sessions(&self, key: &SessionKey) -> Result<Option<Authenticated<Vec<Session>>>, StoreError> {
        let projection = doc! { "_id": 0, "sessions": 1 };
        let found: Option<SessionsDocument> = self.find_one(USERS, sessions::owner_of(key), projection).await?;
        let Some(found) = found else { return Ok(None) };
        let record = sessions::by_latest_use(found.sessions).map_err(StoreError::broken)?;
        let own = record.iter().find(|session| session.hash == key.session).cloned();
        Ok(own.map(|session| Authenticated { session, record }))
    }

    async fn end_session(&self, key: &SessionKey, at: Timestamp) -> Result<bool, StoreError> {
        let is_ended = self.update_user(sessions::owner_of(key), sessions::end(key, at)).await?.matched_count > 0;
        if is_ended {
            self.listeners.tell(&Change::Access(key.user));
        }
        Ok(is_ended)
    }

    async fn end_other_sessions(&self, key: &SessionKey) -> Result<(), StoreError> {
        let others = doc! { "id": { "$ne": session_key(key.session) } };
        let filter = doc! { "_id": user_key(key.user), "sessions": { "$elemMatch": others.clone() } };
        self.change_access(key.user, filter, doc! { "$pull": { "sessions": others } }).await.map(drop)
    }

    async fn find_own_credentials(&self, key: &SessionKey) -> Result<Option<Authenticated<OwnCredentials>>, StoreError> {
        let projection =
            doc! { "_id": 0, "username": 1, "email": 1, "isEmailVerified": 1, "passwordHash": 1, "sessions": sessions::only(key) };
        let found: Option<OwnCredentialsDocument> = self.find_one(USERS, sessions::owner_of(key), projection).await?;
        let Some(found) = found else { return Ok(None) };
        let session = sessions::pick(found.sessions, key).map_err(StoreError::broken)?;
        let record = OwnCredentials {
            username: Username::from_stored(found.username),
            email: Email::from_stored(found.email),
            is_email_verified: found.is_email_verified,
            password_hash: PasswordHash::new(found.password_hash),
        };
        Ok(session.map(|session| Authenticated { session, record }))
    }

    async fn change_password(
        &self,
        key: &SessionKey,
        checked: &PasswordHash,
        new: &PasswordHash,
        notice: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.replace_password(key, checked, new, notice).await
    }

    async fn find_address_owner(&self, email: &EmailKey, at: Timestamp) -> Result<Option<(UserId, Email)>, StoreError> {
        self.owner_of_address(email, at).await
    }

    async fn find_mail_token(
        &self,
        hash: &MailTokenHash,
        purpose: MailPurpose,
        at: Timestamp,
    ) -> Result<Option<MailTokenOwner>, StoreError> {
        let may_be = |token: &GoodToken| token.purpose == purpose || purpose == MailPurpose::PasswordReset && token.purpose.is_reset();
        let found = self.find_token(*hash, at).await?.filter(may_be);
        Ok(found.map(GoodToken::into_owner))
    }

    async fn find_address_token(&self, hash: &MailTokenHash, at: Timestamp) -> Result<Option<AddressToken>, StoreError> {
        let found = self.find_token(*hash, at).await?.filter(|token| !token.purpose.is_reset());
        Ok(found.map(|token| {
            let (is_move, password_hash) = (token.is_move(), token.password_hash.clone());
            AddressToken { owner: token.into_owner(), is_move, password_hash }
        }))
    }

    async fn reset_password(
        &self,
        token: &MailTokenHash,
        new: &PasswordHash,
        at: Timestamp,
        notify: bool,
    ) -> Result<Option<UserId>, StoreError> {
        let (store, token, new) = (self.clone(), *token, new.clone());
        tokio::spawn(async move { store.replace_lost_password(token, &new, at, notify).await }).await.map_err(StoreError::broken)?
    }

    async fn verify_email(&self, token: &MailTokenHash, at: Timestamp) -> Result<Option<UserId>, StoreError> {
        let (store, token) = (self.clone(), *token);
        tokio::spawn(async move { store.verify(token, at).await }).await.map_err(StoreError::broken)?
    }

    async fn move_address(
        &self,
        token: &MailTokenHash,
        proof: &MoveProof,
        link: LinkId,
        at: Timestamp,
        notify: bool,
    ) -> Result<MoveOutcome, StoreError> {
        let (store, asked) = (self.clone(), AddressMove { token: *token, proof: proof.clone(), link, at, notify });
        tokio::spawn(async move { store.move_by_link(&asked).await }).await.map_err(StoreError::broken)?
    }

    async fn delete_account(&self, user: UserId, checked: &PasswordHash, at: Timestamp) -> Result<bool, StoreError> {
        let (store, checked) = (self.clone(), checked.clone());
        tokio::spawn(async move { store.delete(user, &checked, at).await }).await.map_err(StoreError::broken)?
    }
}
