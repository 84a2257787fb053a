//! Reads, each bounded at the server too, so that one that nobody waits for any more does not go on there.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::{FindOptions, ReadConcern};
use serde::de::DeserializeOwned;

use super::MongoStore;
use super::documents::Undecodable;
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
        let deadline = self.connection.deadline;
        self.connection
            .read(|database| async move {
                database.collection::<T>(collection).find_one(filter).projection(projection).max_time(deadline).await
            })
            .await
    }

    /// All documents that match.
    pub(super) async fn find<T>(&self, collection: &'static str, filter: Document, options: FindOptions) -> Result<Vec<T>, StoreError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let deadline = self.connection.deadline;
        self.connection
            .read(|database| async move {
                let documents = database.collection::<T>(collection);
                documents.find(filter).with_options(options).max_time(deadline).await?.try_collect().await
            })
            .await
    }

    /// At most `options.limit` documents that match and decode. One that does not is logged by its key and left out; then the read
    /// is done again without it, so that the page is as long as it can be.
    pub(super) async fn find_decodable<D, T>(
        &self,
        collection: &'static str,
        filter: Document,
        options: FindOptions,
        decode: impl Fn(D) -> Result<T, Undecodable>,
    ) -> Result<Vec<T>, StoreError>
    where
        D: DeserializeOwned,
    {
        let mut left_out: Vec<Bson> = Vec::new();
        loop {
            let known = left_out.len();
            let found: Vec<RawDocumentBuf> = self.find(collection, but_for(&filter, &left_out), options.clone()).await?;
            let may_go_on = i64::try_from(found.len()).is_ok_and(|length| options.limit == Some(length));
            let decoded = decodable(found, &decode, |document| left_out.extend(note_undecodable(collection, document)));
            if left_out.len() == known || !may_go_on {
                return Ok(decoded);
            }
        }
    }

    /// As [`find_one`](Self::find_one) on the primary now, though the majority may not have it yet: after a write was refused,
    /// what stands in its way is looked for here.
    pub(super) async fn find_latest<T>(
        &self,
        collection: &'static str,
        filter: Document,
        projection: Document,
    ) -> Result<Option<T>, StoreError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let deadline = self.connection.deadline;
        self.connection
            .read(|database| async move {
                let documents = database.collection::<T>(collection);
                let find = documents.find_one(filter).projection(projection);
                find.read_concern(ReadConcern::local()).max_time(deadline).await
            })
            .await
    }
}

/// What matches a filter but for the documents with these keys.
fn but_for(filter: &Document, keys: &[Bson]) -> Document {
    if keys.is_empty() {
        filter.clone()
    } else {
        doc! { "$and": [filter.clone(), { "_id": { "$nin": keys } }] }
    }
}

/// The documents that decode, in their order; of the others it tells.
fn decodable<D: DeserializeOwned, T>(
    documents: Vec<RawDocumentBuf>,
    decode: impl Fn(D) -> Result<T, Undecodable>,
    mut tell: impl FnMut(&RawDocument),
) -> Vec<T> {
    let decoded = documents.into_iter().filter_map(|document| {
        let value = mongodb::bson::deserialize_from_slice(document.as_bytes()).ok().and_then(|value| decode(value).ok());
        if value.is_none() {
            tell(&document);
        }
        value
    });
    decoded.collect()
}

/// Logs that a document was left out of a list, and gives its key if that can be read. Why it does not decode is not told: the
/// decoder's message quotes what it met.
fn note_undecodable(collection: &str, document: &RawDocument) -> Option<Bson> {
    let key = document.get("_id").ok().flatten().and_then(|key| Bson::try_from(key).ok());
    let shown = key.as_ref().map_or_else(|| "unreadable".to_owned(), ToString::to_string);
    log::error!(event = "record_undecodable", collection, key = shown.as_str(); "a record does not decode and is left out of a list");
    key
}

/// At most `limit` documents in one batch, so that the page is one operation. An empty order is none: some servers refuse it.
pub(super) fn page(sort: Document, limit: usize) -> Result<FindOptions, StoreError> {
    let batch = u32::try_from(limit).map_err(StoreError::broken)?;
    Ok(FindOptions::builder().sort(Some(sort).filter(|sort| !sort.is_empty())).limit(i64::from(batch)).batch_size(batch).build())
}
