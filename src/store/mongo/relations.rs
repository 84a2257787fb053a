//! Changes of the lists of friends and blocks: what may be added is the condition of the write.

use mongodb::bson::{DateTime, Document, Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{USERS, date, user_key};
use super::patience::Patience;
use crate::domain::{Timestamp, UserId};
use crate::store::{BlockAddition, FriendAddition, MAX_BLOCKS, MAX_FRIENDS, StoreError};

/// A person's list of friends, and whether they have blocked the one person that it is about.
#[derive(Deserialize)]
struct FriendsDocument {
    friends: Vec<FriendKey>,
    #[serde(default)]
    blocks: Vec<Uuid>,
}

#[derive(Deserialize)]
struct FriendKey {
    id: Uuid,
}

#[derive(Deserialize)]
struct BlocksDocument {
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
        let mut patience = Patience::begin();
        while self.update_user(filter.clone(), update.clone()).await?.matched_count == 0 {
            if let Some(refusal) = self.why_no_friend(user, friend).await? {
                return Ok(refusal);
            }
            patience.try_again(false).await?;
        }
        Ok(FriendAddition::Added)
    }

    /// What refuses a friend; `None` when nothing does any more, or does not show yet.
    async fn why_no_friend(&self, user: Uuid, friend: Uuid) -> Result<Option<FriendAddition>, StoreError> {
        let projection = doc! { "_id": 0, "friends.id": 1, "blocks": { "$elemMatch": { "$eq": friend } } };
        let lists: Option<FriendsDocument> = self.find_one(USERS, account(user), projection).await?;
        let Some(FriendsDocument { friends, blocks }) = lists else { return Ok(Some(FriendAddition::NoAccount)) };
        let is_friend = friends.iter().any(|other| other.id == friend);
        Ok(FriendAddition::refusal(is_friend, !blocks.is_empty(), friends.len()))
    }

    /// The blocker's document first, since it is what protects them: lists hide whoever has blocked the caller. Then the
    /// other's list of friends, also when the first step was done by an earlier attempt.
    pub(super) async fn push_block(&self, user: UserId, other: UserId) -> Result<BlockAddition, StoreError> {
        let (blocker, other) = (user, user_key(other));
        let user = user_key(blocker);
        let last_place = format!("blocks.{}", MAX_BLOCKS - 1);
        let filter = doc! { "_id": user, "heldUntil": null, last_place: { "$exists": false }, "blocks": { "$ne": other } };
        let update = doc! { "$push": { "blocks": other }, "$pull": { "friends": { "id": other } } };
        let mut patience = Patience::begin();
        while !self.change_access(blocker, filter.clone(), update.clone()).await? {
            match self.why_no_block(user, other).await? {
                Some(BlockAddition::Blocked) => break,
                Some(refusal) => return Ok(refusal),
                None => patience.try_again(false).await?,
            }
        }
        let unfriended = self.update_user(doc! { "_id": other }, doc! { "$pull": { "friends": { "id": user } } }).await;
        unfriended.map(|_updated| BlockAddition::Blocked).map_err(StoreError::after_a_change)
    }

    /// What makes a further block needless or impossible; `None` when nothing does any more, or does not show yet.
    async fn why_no_block(&self, user: Uuid, other: Uuid) -> Result<Option<BlockAddition>, StoreError> {
        let lists: Option<BlocksDocument> = self.find_one(USERS, account(user), doc! { "_id": 0, "blocks": 1 }).await?;
        let Some(BlocksDocument { blocks }) = lists else { return Ok(Some(BlockAddition::NoAccount)) };
        Ok(BlockAddition::without_change(blocks.contains(&other), blocks.len()))
    }
}

/// The person, as long as they have an account.
fn account(user: Uuid) -> Document {
    doc! { "_id": user, "heldUntil": None::<DateTime> }
}
