//! Writes to one person's document.

use mongodb::bson::Document;
use mongodb::options::UpdateModifications;
use mongodb::results::UpdateResult;

use super::MongoStore;
use super::documents::USERS;
use super::failure::unless_duplicate;
use crate::store::StoreError;

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

    /// The same; `None` where a unique index refused the change.
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
