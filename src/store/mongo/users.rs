//! Profiles, friends and blocks in MongoDB.

use async_trait::async_trait;
use mongodb::bson::{Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{FriendDocument, SessionDocument, USERS, messages_from, user_key};
use super::profiles::{ProfileDocument, profile_fields};
use super::reads::page;
use super::sessions;
use crate::domain::{SessionKey, Timestamp, UserId, UsernamePrefix};
use crate::store::{
    AccountData, Authenticated, BlockAddition, Friend, FriendAddition, Lists, Peer, Person, ProfileChange, ProfileUpdate, StoreError, User,
    UserStore,
};

/// One of the two people that a request is about; each array holds at most what concerns it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PeerDocument {
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
        let mut projection = profile_fields();
        projection.insert("sessions", sessions::only(key));
        let found: Option<ProfileDocument> = self.find_one(USERS, sessions::owner_of(key), projection).await?;
        let Some(mut found) = found else { return Ok(None) };
        let session = sessions::pick(std::mem::take(&mut found.sessions), key).map_err(StoreError::broken)?;
        let Some(session) = session else { return Ok(None) };
        Ok(Some(Authenticated { session, record: found.into_user().map_err(StoreError::broken)? }))
    }

    async fn find_peer(&self, key: &SessionKey, peer: UserId) -> Result<Option<Authenticated<Option<Peer>>>, StoreError> {
        let (caller, peer) = (user_key(key.user), user_key(peer));
        let filter = doc! { "_id": { "$in": [caller, peer] }, "heldUntil": null };
        let mut options = page(doc! {}, 2)?;
        options.projection = Some(doc! {
            "messagesFrom": 1,
            "sessions": sessions::only(key),
            "friends": { "$elemMatch": { "id": caller } },
            "blocks": { "$elemMatch": { "$eq": caller } },
        });
        let mut people: Vec<PeerDocument> = self.find(USERS, filter, options).await?;
        let record = people.iter().find(|person| person.id == peer).map(PeerDocument::as_peer).transpose()?;
        let Some(caller) = people.iter_mut().find(|person| person.id == caller) else { return Ok(None) };
        let session = sessions::pick(std::mem::take(&mut caller.sessions), key).map_err(StoreError::broken)?;
        Ok(session.map(|session| Authenticated { session, record }))
    }

    async fn update_profile(&self, key: &SessionKey, change: &ProfileChange, at: Timestamp) -> Result<ProfileUpdate, StoreError> {
        self.change_profile(key, change, at).await
    }

    async fn add_friend(&self, user: UserId, friend: UserId, at: Timestamp) -> Result<FriendAddition, StoreError> {
        self.push_friend(user, friend, at).await
    }

    async fn remove_friend(&self, user: UserId, friend: UserId) -> Result<bool, StoreError> {
        let update = doc! { "$pull": { "friends": { "id": user_key(friend) } } };
        Ok(self.update_user(doc! { "_id": user_key(user) }, update).await?.modified_count > 0)
    }

    async fn list_friends(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Authenticated<Vec<Friend>>>, StoreError> {
        self.friends_of(key, at).await
    }

    async fn list_blocks(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Authenticated<Vec<Person>>>, StoreError> {
        self.blocked_by(key, at).await
    }

    async fn block(&self, user: UserId, other: UserId, _at: Timestamp) -> Result<BlockAddition, StoreError> {
        let store = self.clone();
        // Of the two steps none may be left out because nobody waits any more.
        tokio::spawn(async move { store.push_block(user, other).await }).await.map_err(StoreError::broken)?
    }

    async fn unblock(&self, user: UserId, other: UserId) -> Result<bool, StoreError> {
        let filter = doc! { "_id": user_key(user), "blocks": user_key(other) };
        self.change_access(user, filter, doc! { "$pull": { "blocks": user_key(other) } }).await
    }

    async fn search_people(&self, caller: UserId, prefix: &UsernamePrefix, limit: usize, at: Timestamp) -> Result<Vec<Person>, StoreError> {
        self.people_named(caller, prefix, limit, at).await
    }

    async fn find_people(&self, caller: UserId, ids: &[UserId], at: Timestamp) -> Result<Vec<Person>, StoreError> {
        self.people_with(caller, ids, at).await
    }

    async fn find_account_data(&self, key: &SessionKey) -> Result<Option<Authenticated<AccountData>>, StoreError> {
        let mut projection = profile_fields();
        projection.extend(doc! { "sessions": 1, "blocks": 1, "lastSeen": 1, "recovery": 1, "recoveryUntil": 1 });
        let found: Option<ProfileDocument> = self.find_one(USERS, sessions::owner_of(key), projection).await?;
        let Some(found) = found else { return Ok(None) };
        let record = found.into_account_data().map_err(StoreError::broken)?;
        let own = record.sessions.iter().find(|session| session.hash == key.session).cloned();
        Ok(own.map(|session| Authenticated { session, record }))
    }
}

impl PeerDocument {
    fn as_peer(&self) -> Result<Peer, StoreError> {
        let lists = Lists { is_friend: !self.friends.is_empty(), is_blocked: !self.blocks.is_empty() };
        Ok(Peer::new(messages_from(&self.messages_from).map_err(StoreError::broken)?, lists))
    }
}
