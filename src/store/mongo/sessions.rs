//! The sessions in a person's document.

use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::MongoStore;
use super::documents::{ACCESS_CHANGED_AT, SessionDocument, USERS, Undecodable, date, session_key, to_bson, user_key};
use super::profiles::{ProfileDocument, profile_fields};
use crate::domain::{PasswordHash, Session, SessionKey, UserId};
use crate::store::StoreError;

/// A document of which only the sessions matter.
#[derive(Deserialize)]
pub(super) struct SessionsDocument {
    #[serde(default)]
    pub(super) sessions: Vec<SessionDocument>,
}

/// What finds the owner of a session.
pub(super) fn owner_of(key: &SessionKey) -> Document {
    doc! { "_id": user_key(key.user), "sessions.id": session_key(key.session) }
}

/// What a projection has as `sessions` to bring one of them.
pub(super) fn only(key: &SessionKey) -> Document {
    doc! { "$elemMatch": { "id": session_key(key.session) } }
}

/// The session among those that were read.
pub(super) fn pick(sessions: Vec<SessionDocument>, key: &SessionKey) -> Result<Option<Session>, Undecodable> {
    sessions.into_iter().find(|session| session.is_of(key.session)).map(SessionDocument::into_session).transpose()
}

/// Sessions as lists show them: the most recently used first.
pub(super) fn by_latest_use(sessions: Vec<SessionDocument>) -> Result<Vec<Session>, Undecodable> {
    let mut sessions = sessions.into_iter().map(SessionDocument::into_session).collect::<Result<Vec<_>, _>>()?;
    sessions.sort_by_key(|session| std::cmp::Reverse(session.last_used_at));
    Ok(sessions)
}

impl MongoStore {
    /// Adds a session under the cap if the hash is still the checked one; gives the person with the sessions left.
    pub(super) async fn push_session(
        &self,
        user: UserId,
        checked: &PasswordHash,
        renewed: Option<&PasswordHash>,
        session: &Session,
    ) -> Result<Option<ProfileDocument>, StoreError> {
        let filter = doc! { "_id": user_key(user), "passwordHash": checked.expose(), "heldUntil": null };
        let hash = renewed.unwrap_or(checked).expose();
        let now = date(session.created_at);
        let cap = i32::try_from(Session::MAX_PER_USER).map_err(StoreError::broken)?;
        let each = to_bson(&SessionDocument::new(session)).map_err(StoreError::broken)?;
        let update = doc! {
            "$set": { "lastLogin": now, "passwordHash": hash },
            "$max": { "lastSeen": now },
            "$currentDate": { ACCESS_CHANGED_AT: true },
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
