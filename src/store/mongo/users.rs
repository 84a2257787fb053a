//! Profiles and friends in MongoDB.

use async_trait::async_trait;
use mongodb::bson::{Document, Uuid, doc};
use mongodb::options::{FindOptions, ReturnDocument};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{
    FriendDocument, ProfileDocument, SessionDocument, USERS, date, messages_from, profile_fields, session_key, user_key,
};
use super::failure::unless_duplicate;
use crate::domain::{SessionKey, Timestamp, UserId, UsernameKey};
use crate::store::{
    Authenticated, FriendAddition, MAX_FRIENDS, MessagesFrom, Peer, ProfileChange, ProfileUpdate, StoreError, User, UserStore,
};

/// One of the two people that a request is about; each array holds at most what concerns it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersonDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    messages_from: String,
    #[serde(default)]
    sessions: Vec<SessionDocument>,
    #[serde(default)]
    friends: Vec<FriendDocument>,
    #[serde(default)]
    blocks: Vec<Uuid>,
}

#[async_trait]
impl UserStore for MongoStore {
    async fn find_profile(&self, key: &SessionKey) -> Result<Option<Authenticated<User>>, StoreError> {
        let id = session_key(key.session);
        let filter = doc! { "_id": user_key(key.user), "sessions.id": id.clone() };
        let mut projection = profile_fields();
        projection.insert("sessions", doc! { "$elemMatch": { "id": id } });
        let found: Option<ProfileDocument> = self.find_one(USERS, filter, projection).await?;
        let Some(mut found) = found else { return Ok(None) };
        let Some(session) = found.sessions.pop() else { return Ok(None) };
        let session = session.into_session().map_err(StoreError::broken)?;
        Ok(Some(Authenticated { session, record: found.into_user().map_err(StoreError::broken)? }))
    }

    async fn find_peer(&self, key: &SessionKey, peer: UserId) -> Result<Option<Authenticated<Option<Peer>>>, StoreError> {
        let (caller, peer) = (user_key(key.user), user_key(peer));
        let filter = doc! { "_id": { "$in": [caller, peer] } };
        let projection = doc! {
            "messagesFrom": 1,
            "sessions": { "$elemMatch": { "id": session_key(key.session) } },
            "friends": { "$elemMatch": { "id": caller } },
            "blocks": { "$elemMatch": { "$eq": caller } },
        };
        let options = FindOptions::builder().projection(projection).build();
        let mut people: Vec<PersonDocument> = self.find(USERS, filter, options).await?;
        let record = people.iter().find(|person| person.id == peer).map(PersonDocument::as_peer).transpose()?;
        let caller = people.iter_mut().find(|person| person.id == caller);
        let session = caller.and_then(|caller| caller.sessions.pop()).map(SessionDocument::into_session);
        Ok(session.transpose().map_err(StoreError::broken)?.map(|session| Authenticated { session, record }))
    }

    async fn update_profile(&self, user: UserId, change: &ProfileChange) -> Result<ProfileUpdate, StoreError> {
        let filter = doc! { "_id": user_key(user) };
        let update = vec![doc! { "$set": assignments(change) }];
        let updated = self
            .connection
            .write(|database| async move {
                let users = database.collection::<ProfileDocument>(USERS);
                let update = users.find_one_and_update(filter, update).return_document(ReturnDocument::After);
                unless_duplicate(update.projection(profile_fields()).await)
            })
            .await?;
        match updated {
            Some(Some(person)) => Ok(ProfileUpdate::Updated(person.into_user().map_err(StoreError::broken)?)),
            Some(None) => Ok(ProfileUpdate::NotFound),
            None => match &change.username {
                Some(name) if is_username_taken(self, &name.key(), Some(user)).await? => Ok(ProfileUpdate::UsernameTaken),
                _ => Ok(ProfileUpdate::EmailTaken),
            },
        }
    }

    async fn add_friend(&self, user: UserId, friend: UserId, at: Timestamp) -> Result<FriendAddition, StoreError> {
        let (user, friend) = (user_key(user), user_key(friend));
        let last_place = format!("friends.{}", MAX_FRIENDS - 1);
        let filter = doc! { "_id": user, "friends.id": { "$ne": friend }, last_place: { "$exists": false } };
        let update = doc! { "$push": { "friends": { "id": friend, "addedAt": date(at) } } };
        if self.update_user(filter, update).await? {
            return Ok(FriendAddition::Added);
        }
        let is_friend = self.exists(USERS, doc! { "_id": user, "friends.id": friend }).await?;
        Ok(if is_friend { FriendAddition::AlreadyFriend } else { FriendAddition::LimitReached })
    }

    async fn remove_friend(&self, user: UserId, friend: UserId) -> Result<bool, StoreError> {
        let update = doc! { "$pull": { "friends": { "id": user_key(friend) } } };
        self.update_user(doc! { "_id": user_key(user) }, update).await
    }
}

impl PersonDocument {
    fn as_peer(&self) -> Result<Peer, StoreError> {
        Ok(Peer {
            messages_from: messages_from(&self.messages_from).map_err(StoreError::broken)?,
            has_added_caller: !self.friends.is_empty(),
            has_blocked_caller: !self.blocks.is_empty(),
        })
    }
}

impl MongoStore {
    /// Updates one person; whether anything was changed.
    async fn update_user(&self, filter: Document, update: Document) -> Result<bool, StoreError> {
        let result = self
            .connection
            .write(|database| async move { database.collection::<Document>(USERS).update_one(filter, update).await })
            .await?;
        Ok(result.modified_count > 0)
    }
}

/// Whether somebody other than `owner` has a user name.
pub(super) async fn is_username_taken(store: &MongoStore, name: &UsernameKey, owner: Option<UserId>) -> Result<bool, StoreError> {
    let mut filter = doc! { "usernameKey": name.as_str() };
    if let Some(owner) = owner {
        filter.insert("_id", doc! { "$ne": user_key(owner) });
    }
    store.exists(USERS, filter).await
}

/// The fields that change, as expressions over the document before the change; text is marked as such, lest a `$` in it
/// be read as a field's name.
fn assignments(change: &ProfileChange) -> Document {
    let mut fields = Document::new();
    if let Some(name) = &change.username {
        fields.insert("username", literal(name.as_str()));
        fields.insert("usernameKey", literal(name.key().as_str()));
    }
    if let Some(email) = &change.email {
        let key = literal(email.key().as_str());
        fields.insert("isEmailVerified", doc! { "$and": ["$isEmailVerified", { "$eq": ["$emailKey", key.clone()] }] });
        fields.insert("email", literal(email.as_str()));
        fields.insert("emailKey", key);
    }
    if let Some(choice) = change.messages_from.map(MessagesFrom::as_str) {
        fields.insert("messagesFrom", literal(choice));
    }
    fields
}

fn literal(text: &str) -> Document {
    doc! { "$literal": text }
}
