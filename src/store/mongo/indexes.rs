//! The indexes: those that hold rules, and those that lists walk along.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Collection, Database, IndexModel};

use super::documents::{ACCESS_CHANGED_AT, CHANGED_AT, CHATS, MESSAGES, THROTTLES, USERS};
use super::failure::is_of_room;

/// The index over the addresses of all accounts. It has the name of another one that an older version needs, so that such a
/// process finds that it lacks an index and serves nothing more.
const ADDRESS_KEYS: &str = "previousEmail";
/// How long the server may take to build the indexes that it lacks, in a database that may hold much.
const PATIENCE: Duration = Duration::from_mins(10);

/// Makes the indexes that are missing; an error when one cannot be made. Repeatable, and cheap when all are there.
pub(super) async fn ensure(database: &Database) -> mongodb::error::Result<()> {
    let of_collections = [
        (
            USERS,
            vec![
                unique("username", doc! { "usernameKey": 1 }, None),
                unique("email", doc! { "emailKey": 1 }, None),
                unique(ADDRESS_KEYS, doc! { "addressKeys": 1 }, Some("addressKeys")),
                partial("recoveryUntil", doc! { "recoveryUntil": 1 }, "recoveryUntil"),
                partial("mailToken", doc! { "mailTokens.hash": 1 }, "mailTokens.hash"),
                partial("mail", doc! { "mailDueAt": 1, "mailCount": 1 }, "mailDueAt"),
                partial("friends", doc! { "friends.id": 1 }, "friends.id"),
                partial("listed", doc! { "isListed": 1 }, "isListed"),
                partial("changed", doc! { ACCESS_CHANGED_AT: 1 }, ACCESS_CHANGED_AT),
                expiring("held", "heldUntil"),
            ],
        ),
        (
            CHATS,
            vec![plain("latest", doc! { "members": 1, "lastMessage.sentAt": -1, "_id": -1 }), plain("changed", doc! { CHANGED_AT: 1 })],
        ),
        (
            MESSAGES,
            vec![
                plain("sent", doc! { "sender": 1, "sentAt": -1, "_id": -1 }),
                plain("received", doc! { "recipient": 1, "sentAt": -1, "_id": -1 }),
                unique("clientId", doc! { "_id.chat": 1, "sender": 1, "clientId": 1 }, Some("clientId")),
            ],
        ),
        (THROTTLES, vec![expiring("expired", "expiresAt")]),
    ];
    for (collection, indexes) in of_collections {
        let collection = database.collection(collection);
        let made = ensure_of(&collection, indexes.clone()).await;
        if made.is_err() && drop_replaced(&collection).await? {
            ensure_of(&collection, indexes).await?;
        } else {
            made?;
        }
    }
    Ok(())
}

/// A server without room may refuse to make even what is there already.
async fn ensure_of(collection: &Collection<Document>, indexes: Vec<IndexModel>) -> mongodb::error::Result<()> {
    let names: Vec<_> = indexes.iter().filter_map(|index| index.options.as_ref()?.name.clone()).collect();
    match collection.create_indexes(indexes).max_time(PATIENCE).await {
        Err(error) if is_of_room(&error) => {
            let present = collection.list_index_names().await?;
            let are_all_there = names.iter().all(|name| present.contains(name)) && !has_replaced(collection).await?;
            if are_all_there { Ok(()) } else { Err(error) }
        }
        made => made.map(drop),
    }
}

/// One of each kind, for the probe to try on a collection of its own.
pub(super) fn of_the_probe() -> [IndexModel; 3] {
    [
        unique("key", doc! { "key": 1 }, Some("key")),
        partial("list", doc! { "list.n": 1, "n": -1 }, "list"),
        expiring("expired", "expiresAt"),
    ]
}

/// Drops the index of an older version whose name another one has now; `false` when there is none.
async fn drop_replaced(collection: &Collection<Document>) -> mongodb::error::Result<bool> {
    if !has_replaced(collection).await? {
        return Ok(false);
    }
    collection.drop_index(ADDRESS_KEYS).await.map(|()| true)
}

async fn has_replaced(collection: &Collection<Document>) -> mongodb::error::Result<bool> {
    let indexes: Vec<IndexModel> = collection.list_indexes().await?.try_collect().await?;
    Ok(indexes.iter().any(|index| index.keys.contains_key("previousEmail.key")))
}

fn plain(name: &str, keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).options(IndexOptions::builder().name(name.to_owned()).build()).build()
}

/// Over the documents that have a field.
fn partial(name: &str, keys: Document, field: &str) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).partial_filter_expression(has(field)).build();
    IndexModel::builder().keys(keys).options(options).build()
}

fn unique(name: &str, keys: Document, only_with: Option<&str>) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).unique(true).partial_filter_expression(only_with.map(has)).build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// Has the server delete a document some time after the instant in a field. Queries do not rely on it.
fn expiring(name: &str, field: &str) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).expire_after(Duration::ZERO).partial_filter_expression(has(field)).build();
    IndexModel::builder().keys(doc! { field: 1 }).options(options).build()
}

fn has(field: &str) -> Document {
    doc! { field: { "$exists": true } }
}
