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

    /// The same on the primary now, though the majority may not have it yet: after a write was refused, what stands in its
    /// way is looked for here.
    pub(super) async fn find_latest<T>(
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
                let documents = database.collection::<T>(collection);
                let find = documents.find_one(filter).projection(projection);
                find.read_concern(ReadConcern::local()).max_time(DEADLINE).await
            })
            .await
    }

    /// Whether a document matches, in the sense of [`find_latest`](Self::find_latest).
    pub(super) async fn exists(&self, collection: &'static str, filter: Document) -> Result<bool, StoreError> {
        let found: Option<Document> = self.find_latest(collection, filter, doc! { "_id": 1 }).await?;
        Ok(found.is_some())
    }
}

/// At most `limit` documents in one batch, so that the page is one operation.
pub(super) fn page(sort: Document, limit: usize) -> Result<FindOptions, StoreError> {
    let batch = u32::try_from(limit).map_err(StoreError::broken)?;
    Ok(FindOptions::builder().sort(sort).limit(i64::from(batch)).batch_size(batch).build())
}
