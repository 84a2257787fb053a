//! Reads, each bounded at the server too, so that one that nobody waits for any more does not go on there.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::options::{FindOptions, ReadConcern};
use serde::de::DeserializeOwned;

use super::MongoStore;
use super::connection::DEADLINE;
use crate::store::StoreError;

impl MongoStore {
    /// The document that matches, with the fields of the projection.
    pub(super) async fn find_one<T>(
        &self,
        collection: &'static str,
        filter: Document,
        projection: Document,
    ) -> Result<Option<T>, StoreError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.connection
            .read(|database| async move {
                database.collection::<T>(collection).find_one(filter).projection(projection).max_time(DEADLINE).await
            })
            .await
    }

    /// All documents that match.
    pub(super) async fn find<T>(&self, collection: &'static str, filter: Document, options: FindOptions) -> Result<Vec<T>, StoreError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.connection
            .read(|database| async move {
                let documents = database.collection::<T>(collection);
                documents.find(filter).with_options(options).max_time(DEADLINE).await?.try_collect().await
            })
            .await
    }

    /// Whether a document matches on the primary now, though the majority may not have it yet: after a write was refused,
    /// what stands in its way is looked for here.
    pub(super) async fn exists(&self, collection: &'static str, filter: Document) -> Result<bool, StoreError> {
        let found = self
            .connection
            .read(|database| async move {
                let documents = database.collection::<Document>(collection);
                let find = documents.find_one(filter).projection(doc! { "_id": 1 });
                find.read_concern(ReadConcern::local()).max_time(DEADLINE).await
            })
            .await?;
        Ok(found.is_some())
    }
}
