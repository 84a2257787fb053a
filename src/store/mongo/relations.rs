//! Changes of the lists of friends and blocks: what may be added is the condition of the write.

use mongodb::bson::{Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{FriendDocument, USERS, date, user_key};
use crate::domain::{Timestamp, UserId};
use crate::store::{BlockAddition, FriendAddition, MAX_BLOCKS, MAX_FRIENDS, StoreError};

/// What a person's lists say of one other person.
#[derive(Deserialize)]
struct RelationDocument {
    #[serde(default)]
    friends: Vec<FriendDocument>,
    #[serde(default)]
    blocks: Vec<Uuid>,
}

impl MongoStore {
    pub(super) async fn push_friend(&self, user: UserId, friend: UserId, at: Timestamp) -> Result<FriendAddition, StoreError> {
        let (user, friend) = (user_key(user), user_key(friend));
        let last_place = format!("friends.{}", MAX_FRIENDS - 1);
        let filter = doc! {
            "_id": user,
            "heldUntil": null,
            last_place: { "$exists": false },
            "friends.id": { "$ne": friend },
            "blocks": { "$ne": friend },
        };
        let update = doc! { "$push": { "friends": { "id": friend, "addedAt": date(at) } } };
        if self.update_user(filter, update).await?.matched_count > 0 {
            return Ok(FriendAddition::Added);
        }
        let projection = doc! { "_id": 0, "friends": { "$elemMatch": { "id": friend } }, "blocks": { "$elemMatch": { "$eq": friend } } };
        let relation: Option<RelationDocument> = self.find_latest(USERS, doc! { "_id": user }, projection).await?;
        Ok(match relation {
            Some(relation) if !relation.friends.is_empty() => FriendAddition::AlreadyFriend,
            Some(relation) if !relation.blocks.is_empty() => FriendAddition::Blocked,
            _ => FriendAddition::LimitReached,
        })
    }

    /// The blocker's document first, since it is what protects them: lists hide whoever has blocked the caller. Then the
    /// other's list of friends, also when the first step was done by an earlier attempt.
    pub(super) async fn push_block(&self, user: UserId, other: UserId) -> Result<BlockAddition, StoreError> {
        let (blocker, other) = (user, user_key(other));
        let user = user_key(blocker);
        let last_place = format!("blocks.{}", MAX_BLOCKS - 1);
        let filter = doc! { "_id": user, "heldUntil": null, last_place: { "$exists": false }, "blocks": { "$ne": other } };
        let update = doc! { "$push": { "blocks": other }, "$pull": { "friends": { "id": other } } };
        let added = self.change_access(blocker, filter, update).await?;
        if !added && !self.exists(USERS, doc! { "_id": user, "blocks": other }).await? {
            return Ok(BlockAddition::LimitReached);
        }
        let unfriended = self.update_user(doc! { "_id": other }, doc! { "$pull": { "friends": { "id": user } } }).await;
        unfriended.map(|_updated| BlockAddition::Blocked).map_err(StoreError::after_a_change)
    }
}
