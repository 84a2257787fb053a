//! The indexes: those that hold rules, and those that lists walk along.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use super::documents::{CHATS, MESSAGES, USERS};

/// How long the server may take to look for the indexes, or to build them in an empty database.
const PATIENCE: Duration = Duration::from_secs(3);

/// Makes the indexes that are missing; an error when one cannot be made. Repeatable, and cheap when all are there.
pub(super) async fn ensure(database: Database) -> mongodb::error::Result<()> {
    let of_collections = [
        (USERS, vec![unique("username", doc! { "usernameKey": 1 }, None), unique("email", doc! { "emailKey": 1 }, None)]),
        (CHATS, vec![plain("latest", doc! { "members": 1, "lastMessage.sentAt": -1, "_id": -1 })]),
        (
            MESSAGES,
            vec![
                plain("sent", doc! { "sender": 1, "sentAt": -1, "_id": -1 }),
                plain("received", doc! { "recipient": 1, "sentAt": -1, "_id": -1 }),
                unique("clientId", doc! { "_id.chat": 1, "sender": 1, "clientId": 1 }, Some(doc! { "clientId": { "$exists": true } })),
            ],
        ),
    ];
    for (collection, indexes) in of_collections {
        database.collection::<Document>(collection).create_indexes(indexes).max_time(PATIENCE).await?;
    }
    Ok(())
}

fn plain(name: &str, keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).options(IndexOptions::builder().name(name.to_owned()).build()).build()
}

fn unique(name: &str, keys: Document, only_where: Option<Document>) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).unique(true).partial_filter_expression(only_where).build();
    IndexModel::builder().keys(keys).options(options).build()
}
