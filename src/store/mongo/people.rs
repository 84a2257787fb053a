//! Other people as somebody sees them.

use std::collections::HashMap;

use mongodb::bson::{DateTime, Document, Uuid, doc};
use mongodb::options::FindOptions;
use serde::Deserialize;

use super::MongoStore;
use super::documents::{FriendDocument, SessionDocument, USERS, time, user_id, user_key};
use super::reads::page;
use super::sessions;
use crate::domain::{SessionKey, Timestamp, UserId, Username, UsernamePrefix};
use crate::store::{Authenticated, Friend, Lists, Person, StoreError};

/// A person on somebody's list; friends and blocks are those that are the caller.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersonDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    username: String,
    last_seen: Option<DateTime>,
    #[serde(default)]
    sessions: Vec<UseDocument>,
    #[serde(default)]
    friends: Vec<FriendDocument>,
    #[serde(default)]
    blocks: Vec<Uuid>,
}

/// When a session was used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UseDocument {
    last_used_at: DateTime,
}

/// The caller with one of their lists.
#[derive(Deserialize)]
struct ListsDocument {
    sessions: Vec<SessionDocument>,
    #[serde(default)]
    friends: Vec<FriendDocument>,
    #[serde(default)]
    blocks: Vec<Uuid>,
}

impl MongoStore {
    pub(super) async fn friends_of(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Authenticated<Vec<Friend>>>, StoreError> {
        let Some(Authenticated { session, record: lists }) = self.find_lists(key, "friends").await? else { return Ok(None) };
        let ids = lists.friends.iter().map(|friend| friend.id).collect();
        let mut people = by_id(self.people_among(key.user, ids, not_blocking(key.user), at).await?);
        let with_time =
            |friend: FriendDocument| people.remove(&user_id(friend.id)).map(|person| Friend { person, added_at: time(friend.added_at) });
        Ok(Some(Authenticated { session, record: lists.friends.into_iter().filter_map(with_time).collect() }))
    }

    pub(super) async fn blocked_by(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Authenticated<Vec<Person>>>, StoreError> {
        let Some(Authenticated { session, record: lists }) = self.find_lists(key, "blocks").await? else { return Ok(None) };
        let mut people = by_id(self.people_among(key.user, lists.blocks.clone(), Document::new(), at).await?);
        let record = lists.blocks.into_iter().filter_map(|blocked| people.remove(&user_id(blocked))).collect();
        Ok(Some(Authenticated { session, record }))
    }

    /// Those that exist of these ids, in any order.
    pub(super) async fn people_with(&self, caller: UserId, ids: &[UserId], at: Timestamp) -> Result<Vec<Person>, StoreError> {
        self.people_among(caller, ids.iter().copied().map(user_key).collect(), not_blocking(caller), at).await
    }

    pub(super) async fn people_named(
        &self,
        caller: UserId,
        prefix: &UsernamePrefix,
        limit: usize,
        at: Timestamp,
    ) -> Result<Vec<Person>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut filter = not_blocking(caller);
        filter.insert("usernameKey", doc! { "$gte": prefix.first(), "$lt": prefix.end() });
        self.find_seen(caller, filter, page(doc! { "usernameKey": 1 }, limit)?, at).await
    }

    async fn find_lists(&self, key: &SessionKey, list: &str) -> Result<Option<Authenticated<ListsDocument>>, StoreError> {
        let projection = doc! { "_id": 0, "sessions": sessions::only(key), list: 1 };
        let found: Option<ListsDocument> = self.find_one(USERS, sessions::owner_of(key), projection).await?;
        let Some(mut record) = found else { return Ok(None) };
        let session = sessions::pick(std::mem::take(&mut record.sessions), key).map_err(StoreError::broken)?;
        Ok(session.map(|session| Authenticated { session, record }))
    }

    /// Those of these ids who exist and fulfil a condition, in any order.
    pub(super) async fn people_among(
        &self,
        caller: UserId,
        ids: Vec<Uuid>,
        condition: Document,
        at: Timestamp,
    ) -> Result<Vec<Person>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (mut filter, options) = (condition, page(doc! {}, ids.len())?);
        filter.insert("_id", doc! { "$in": ids });
        self.find_seen(caller, filter, options, at).await
    }

    async fn find_seen(
        &self,
        caller: UserId,
        mut filter: Document,
        mut options: FindOptions,
        at: Timestamp,
    ) -> Result<Vec<Person>, StoreError> {
        filter.insert("heldUntil", None::<DateTime>);
        options.projection = Some(doc! {
            "username": 1,
            "lastSeen": 1,
            "sessions.lastUsedAt": 1,
            "friends": { "$elemMatch": { "id": user_key(caller) } },
            "blocks": { "$elemMatch": { "$eq": user_key(caller) } },
        });
        self.find_decodable(USERS, filter, options, |document: PersonDocument| Ok(document.into_person(at))).await
    }
}

/// What leaves out whoever has blocked the caller.
fn not_blocking(caller: UserId) -> Document {
    doc! { "blocks": { "$ne": user_key(caller) } }
}

fn by_id(people: Vec<Person>) -> HashMap<UserId, Person> {
    people.into_iter().map(|person| (person.id, person)).collect()
}

impl PersonDocument {
    fn into_person(self, at: Timestamp) -> Person {
        Person {
            id: user_id(self.id),
            username: Username::from_stored(self.username),
            has_added_caller: Lists { is_friend: !self.friends.is_empty(), is_blocked: !self.blocks.is_empty() }.has_added_caller(),
            last_active: self.sessions.iter().map(|session| time(session.last_used_at)).filter(|used_at| used_at.is_credible(at)).max(),
            last_seen: self.last_seen.map(time),
        }
    }
}
