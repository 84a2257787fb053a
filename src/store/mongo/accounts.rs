//! Accounts and sessions in MongoDB.

use async_trait::async_trait;
use mongodb::bson::{Uuid, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::documents::{
    ProfileDocument, SessionDocument, USERS, UserDocument, date, profile_fields, session_key, time, to_bson, user_id, user_key,
};
use super::failure::unless_duplicate;
use super::{MongoStore, users};
use crate::domain::{EmailKey, PasswordHash, Session, SessionKey, Timestamp, UserId};
use crate::store::{AccountStore, Authenticated, Creation, Credentials, NewAccount, StoreError, User};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialsDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    password_hash: String,
}

#[derive(Deserialize)]
struct SessionsDocument {
    #[serde(default)]
    sessions: Vec<SessionDocument>,
}

#[async_trait]
impl AccountStore for MongoStore {
    async fn create_account(&self, account: &NewAccount) -> Result<Creation, StoreError> {
        let document = UserDocument::new(account);
        let inserted = self
            .connection
            .write(|database| async move { unless_duplicate(database.collection(USERS).insert_one(document).await) })
            .await?;
        if inserted.is_some() {
            return Ok(Creation::Created);
        }
        let name_taken = users::is_username_taken(self, &account.user.username.key(), None).await?;
        Ok(if name_taken { Creation::UsernameTaken } else { Creation::EmailTaken })
    }

    async fn find_credentials(&self, email: &EmailKey) -> Result<Option<Credentials>, StoreError> {
        let filter = doc! { "emailKey": email.as_str() };
        let found: Option<CredentialsDocument> = self.find_one(USERS, filter, doc! { "passwordHash": 1 }).await?;
        Ok(found.map(|found| Credentials { user: user_id(found.id), password_hash: PasswordHash::new(found.password_hash) }))
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
            let Some(person) = self.push_session(user, checked, renewed, &pushed).await? else { return Ok(None) };
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
        let id = session_key(key.session);
        let filter = doc! { "_id": user_key(key.user), "sessions.id": id.clone() };
        let projection = doc! { "_id": 0, "sessions": { "$elemMatch": { "id": id } } };
        let found: Option<SessionsDocument> = self.find_one(USERS, filter, projection).await?;
        let session = found.and_then(|found| found.sessions.into_iter().next()).map(SessionDocument::into_session);
        Ok(session.transpose().map_err(StoreError::broken)?.map(|session| Authenticated { session, record: () }))
    }

    async fn touch_session(&self, key: &SessionKey, at: Timestamp) -> Result<(), StoreError> {
        let due = date(at.plus_millis(-Session::TOUCH_AFTER_MILLIS));
        let of_session = doc! { "id": session_key(key.session), "lastUsedAt": { "$lte": due } };
        let filter = doc! { "_id": user_key(key.user), "sessions": { "$elemMatch": of_session } };
        let update = doc! { "$set": { "sessions.$.lastUsedAt": date(at) }, "$max": { "lastSeen": date(at) } };
        self.connection
            .write(|database| async move { database.collection::<UserDocument>(USERS).update_one(filter, update).await })
            .await
            .map(drop)
    }

    async fn end_session(&self, key: &SessionKey) -> Result<bool, StoreError> {
        let filter = doc! { "_id": user_key(key.user) };
        let update = doc! { "$pull": { "sessions": { "id": session_key(key.session) } } };
        let result = self
            .connection
            .write(|database| async move { database.collection::<UserDocument>(USERS).update_one(filter, update).await })
            .await?;
        Ok(result.modified_count > 0)
    }
}

impl MongoStore {
    /// Adds a session under the cap if the hash is still the checked one; gives the person with the sessions left.
    async fn push_session(
        &self,
        user: UserId,
        checked: &PasswordHash,
        renewed: Option<&PasswordHash>,
        session: &Session,
    ) -> Result<Option<ProfileDocument>, StoreError> {
        let filter = doc! { "_id": user_key(user), "passwordHash": checked.expose() };
        let hash = renewed.unwrap_or(checked).expose();
        let now = date(session.created_at);
        let cap = i32::try_from(Session::MAX_PER_USER).map_err(StoreError::broken)?;
        let each = to_bson(&SessionDocument::new(session)).map_err(StoreError::broken)?;
        let update = doc! {
            "$set": { "lastLogin": now, "passwordHash": hash },
            "$max": { "lastSeen": now },
            "$push": { "sessions": { "$each": [each], "$sort": { "lastUsedAt": -1 }, "$slice": cap } },
        };
        let mut projection = profile_fields();
        projection.insert("sessions", 1);
        self.connection
            .write(|database| async move {
                let users = database.collection::<ProfileDocument>(USERS);
                let update = users.find_one_and_update(filter, update).return_document(ReturnDocument::After);
                update.projection(projection).await
            })
            .await
    }
}
