//! Whether a server has what the store uses is tried before anything is served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::domain::Email;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::{Store, StoreError};
use mongodb::bson::{Document, doc};

use crate::mongodb_only::MONGODB;
use crate::mongodb_plans::Commands;
use crate::support::mongodb::TestDatabase;
use crate::support::wire::{self, refusal};
use crate::{Context, connect, tests};

/// What is awaited takes that long only if it hangs.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(10);

tests!(Context:
    what_a_server_lacks_is_named_and_nothing_is_served in MONGODB,
    a_process_tries_the_server_once_and_leaves_nothing in MONGODB,
);

async fn what_a_server_lacks_is_named_and_nothing_is_served(_: Arc<Context>) {
    for (lacking, told) in [
        ("\"$currentDate\"", "update with $currentDate (code 9: no such thing)"),
        ("\"$indexOfArray\"", "findAndModify by a pipeline with $let, $arrayElemAt, $indexOfArray, $min and $max (code 9: no such thing)"),
        ("\"$nin\"", "find with $eq, $ne, $in and $nin (code 9: no such thing)"),
        ("\"arrayFilters\"", "update with arrayFilters (code 9: no such thing)"),
        ("\"upsert\"", "findAndModify with upsert and $setOnInsert (code 9: no such thing); update with upsert (code 9: no such thing)"),
        ("\"aggregate\"", "aggregate with $match, $group and $sum (code 9: no such thing)"),
        ("\"partialFilterExpression\"", "createIndexes with unique, partial and expiring ones (code 9: no such thing)"),
    ] {
        let database = TestDatabase::new().expect("a server");
        let refuse = move |command: &Document| {
            let is_met = command.values().any(|value| value.as_str() == Some("probe")) && command.to_string().contains(lacking);
            is_met.then(|| refusal(9, "FailedToParse", "no such thing"))
        };
        let uri = database.uri_through(wire::start(database.address(), refuse).await);
        let store: Arc<dyn Store> = Arc::new(MongoStore::connect(&uri).expect("a store"));
        let begun = Instant::now();
        let lack = loop {
            match store.check().await {
                Err(StoreError::Unavailable(cause)) if cause.to_string().contains("lacks") => break cause.to_string(),
                Err(_not_reached_yet) if begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                other => panic!("{lacking} is not missed: {other:?}"),
            }
        };
        assert!(lack.contains(told) && lack.matches("code 9").count() == told.matches("code 9").count(), "{lack}");
        let asked = store.find_credentials(&Email::parse("ann@example.com").expect("an address").key()).await;
        assert!(matches!(asked, Err(StoreError::Unavailable(_))), "{asked:?}");
        store.close().await;
        database.drop_database().await;
    }
}

async fn a_process_tries_the_server_once_and_leaves_nothing(_: Arc<Context>) {
    let (database, commands) = (TestDatabase::new().expect("a server"), Commands::default());
    let store = MongoStore::connect_observed(&database.uri(), commands.observer()).expect("a store");
    let begun = Instant::now();
    while store.check().await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the server does not answer");
        tokio::time::sleep(PAUSE).await;
    }
    let of_probe =
        |commands: Vec<Document>| commands.iter().filter(|command| command.values().any(|value| value.as_str() == Some("probe"))).count();
    let first = of_probe(commands.take());
    assert!((8..=16).contains(&first), "{first} commands at each start");
    store.check().await.expect("well");
    assert_eq!(of_probe(commands.take()), 0);
    let probe = database.open().await.collection::<Document>("probe");
    assert_eq!(probe.count_documents(doc! {}).await.expect("a number"), 0);
    connect(&database).await.expect("a second process finds all there").close().await;
    store.close().await;
    database.drop_database().await;
}
