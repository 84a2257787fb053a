//! The sessions in a person's document.

use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::MongoStore;
use super::documents::{ACCESS_CHANGED_AT, SessionDocument, USERS, Undecodable, date, session_key, time, to_bson, user_key};
use super::profiles::{ProfileDocument, profile_fields};
use crate::domain::{PasswordHash, Session, SessionKey, Timestamp, UserId};
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

/// What notes that a session was used, unless the last note is young: whom it matches, and the update.
pub(super) fn touch(key: &SessionKey, at: Timestamp) -> (Document, Vec<Document>) {
    let due = date(at.plus_millis(-Session::TOUCH_AFTER_MILLIS));
    let is_due = [doc! { "lastUsedAt": { "$lte": due } }, doc! { "lastUsedAt": { "$gt": date(Timestamp::latest_credible(at)) } }];
    let of_session = doc! { "$elemMatch": { "id": session_key(key.session), "$or": is_due } };
    let end = date(at.plus_millis(Session::LIFETIME_MILLIS));
    let used = doc! { "lastUsedAt": date(at), "expiresAt": { "$min": ["$$session.expiresAt", end] } };
    let is_this = doc! { "$eq": ["$$session.id", session_key(key.session)] };
    let noted = doc! { "$cond": [is_this, { "$mergeObjects": ["$$session", used] }, "$$session"] };
    let sessions = doc! { "$map": { "input": "$sessions", "as": "session", "in": noted } };
    (
        doc! { "_id": user_key(key.user), "sessions": of_session },
        vec![doc! { "$set": { "sessions": sessions, "lastSeen": latest_seen(at) } }],
    )
}

/// The update that ends a session.
pub(super) fn end(key: &SessionKey, at: Timestamp) -> Vec<Document> {
    let is_other = doc! { "$ne": ["$$session.id", session_key(key.session)] };
    let others = doc! { "$filter": { "input": "$sessions", "as": "session", "cond": is_other } };
    vec![doc! { "$set": { "sessions": others, "lastSeen": latest_seen(at), ACCESS_CHANGED_AT: "$$NOW" } }]
}

/// The latest note of somebody counts, whichever session it comes from, unless it lies too far ahead.
fn latest_seen(at: Timestamp) -> Document {
    let is_ahead = doc! { "$gt": ["$lastSeen", date(Timestamp::latest_credible(at))] };
    doc! { "$cond": [is_ahead, date(at), { "$max": ["$lastSeen", date(at)] }] }
}

/// Sessions as lists show them: the most recently used first.
pub(super) fn by_latest_use(sessions: Vec<SessionDocument>) -> Result<Vec<Session>, Undecodable> {
    let mut sessions = sessions.into_iter().map(SessionDocument::into_session).collect::<Result<Vec<_>, _>>()?;
    sessions.sort_by_key(|session| std::cmp::Reverse(session.last_used_at));
    Ok(sessions)
}

impl MongoStore {
    /// Adds a session under the cap if the hash is still the checked one and no use lies too far ahead; gives the person with
    /// the sessions left.
    pub(super) async fn push_session(
        &self,
        user: UserId,
        checked: &PasswordHash,
        renewed: Option<&PasswordHash>,
        session: &Session,
    ) -> Result<Option<ProfileDocument>, StoreError> {
        let latest = date(Timestamp::latest_credible(session.created_at));
        let mut filter = with_password(user, checked);
        filter.insert("sessions.lastUsedAt", doc! { "$not": { "$gt": latest } });
        let hash = renewed.unwrap_or(checked).expose();
        let now = date(session.created_at);
        let cap = i32::try_from(Session::MAX_PER_USER).map_err(StoreError::broken)?;
        let each = to_bson(&SessionDocument::new(session)).map_err(StoreError::broken)?;
        let update = doc! {
            "$set": { "lastLogin": now, "lastSeen": now, "passwordHash": hash },
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

    /// Has the uses that lie too far ahead count as earlier than all others; `false` when the hash is not the checked one, or
    /// there is nobody.
    pub(super) async fn restamp_sessions(&self, user: UserId, checked: &PasswordHash, now: Timestamp) -> Result<bool, StoreError> {
        let filter = with_password(user, checked);
        let found: Option<SessionsDocument> = self.find_latest(USERS, filter.clone(), doc! { "_id": 0, "sessions": 1 }).await?;
        let Some(found) = found else { return Ok(false) };
        let stored = found.sessions.iter().map(|session| time(session.last_used_at));
        let Some(earliest) = Session::use_before_all(stored, now).map(date) else { return Ok(true) };
        // The field that decides which ones come last, for a server that asks again before each field.
        let update = doc! { "$min": {
            "sessions.$[ahead].createdAt": earliest,
            "sessions.$[ahead].expiresAt": date(now.plus_millis(Session::LIFETIME_MILLIS)),
            "sessions.$[ahead].lastUsedAt": earliest,
        } };
        let ahead = doc! { "ahead.lastUsedAt": { "$gt": date(Timestamp::latest_credible(now)) } };
        self.connection
            .write(|database| async move { database.collection::<Document>(USERS).update_one(filter, update).array_filters([ahead]).await })
            .await?;
        Ok(true)
    }
}

fn with_password(user: UserId, checked: &PasswordHash) -> Document {
    doc! { "_id": user_key(user), "passwordHash": checked.expose(), "heldUntil": null }
}
