//! Writes to one person's document.

use mongodb::bson::{Document, doc};
use mongodb::options::UpdateModifications;
use mongodb::results::UpdateResult;

use super::MongoStore;
use super::documents::{ACCESS_CHANGED_AT, USERS};
use super::failure::unless_duplicate;
use crate::domain::UserId;
use crate::store::{Change, StoreError};

impl MongoStore {
    /// Updates the person that matches.
    pub(super) async fn update_user(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications> + Send,
    ) -> Result<UpdateResult, StoreError> {
        let update = update.into();
        self.connection.write(|database| async move { database.collection::<Document>(USERS).update_one(filter, update).await }).await
    }

    /// Updates the person that matches in who may do what, marks that for other processes, and tells it; whether somebody
    /// matched, so the filter has to leave out whoever the update would not change.
    pub(super) async fn change_access(&self, user: UserId, filter: Document, mut update: Document) -> Result<bool, StoreError> {
        update.insert("$currentDate", doc! { ACCESS_CHANGED_AT: true });
        let is_changed = self.update_user(filter, update).await?.matched_count > 0;
        if is_changed {
            self.listeners.tell(&Change::Access(user));
        }
        Ok(is_changed)
    }

    /// As [`update_user`](Self::update_user); `None` where a unique index refused the change.
    pub(super) async fn update_user_unless_taken(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications> + Send,
    ) -> Result<Option<UpdateResult>, StoreError> {
        let update = update.into();
        self.connection
            .write(|database| async move { unless_duplicate(database.collection::<Document>(USERS).update_one(filter, update).await) })
            .await
    }
}
