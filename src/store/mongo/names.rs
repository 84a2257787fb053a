//! User names in use: by accounts, and by records that only hold them until some time.

use mongodb::bson::{DateTime, Document, Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{USERS, UserDocument, date, user_key};
use super::failure::unless_duplicate;
use crate::domain::{Timestamp, UserId, UsernameKey};
use crate::store::StoreError;

/// Whether a user name that may have stood in the way of a write does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NameState {
    /// Nobody else has it.
    Free,
    /// Nobody else has it any more: the time of the record that held it was over. The write may be tried again.
    Cleared,
    /// Somebody else has it.
    Taken,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NameHolder {
    #[serde(rename = "_id")]
    id: Uuid,
    held_until: Option<DateTime>,
}

impl MongoStore {
    /// Inserts a person; `false` when something unique is taken.
    pub(super) async fn insert_user(&self, document: UserDocument) -> Result<bool, StoreError> {
        let inserted = self
            .connection
            .write(|database| async move { unless_duplicate(database.collection(USERS).insert_one(document).await) })
            .await?;
        Ok(inserted.is_some())
    }

    /// Who but `owner` has a name; called after a write was refused. Removes a record that held it until `at` at most.
    pub(super) async fn clear_name(&self, name: &UsernameKey, owner: Option<UserId>, at: Timestamp) -> Result<NameState, StoreError> {
        let mut filter = doc! { "usernameKey": name.as_str() };
        if let Some(owner) = owner {
            filter.insert("_id", doc! { "$ne": user_key(owner) });
        }
        let holder: Option<NameHolder> = self.find_latest(USERS, filter, doc! { "heldUntil": 1 }).await?;
        match holder {
            None => Ok(NameState::Free),
            Some(holder) if holder.held_until.is_some_and(|until| until <= date(at)) => {
                let expired = doc! { "_id": holder.id, "heldUntil": { "$lte": date(at) } };
                self.connection.write(|database| async move { database.collection::<Document>(USERS).delete_one(expired).await }).await?;
                Ok(NameState::Cleared)
            }
            Some(_) => Ok(NameState::Taken),
        }
    }
}
