//! A database that an older version has used, and that may still use it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::domain::Email;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::{AccountStore as _, Creation, Store};
use mongodb::bson::{DateTime, Document, Uuid, doc};
use mongodb::{Collection, Database};

use crate::mongodb_only::MONGODB;
use crate::people::{NOW, Person, louder, new_account};
use crate::support::mongodb::TestDatabase;
use crate::{Context, connect, tests};

tests!(Context: records_of_an_older_version_are_taken_over_once_it_serves_nothing in MONGODB);

/// How long the taking over may last, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(3);

/// Gives somebody's document the form that it had: no `addressKeys`, and perhaps one earlier address.
async fn make_older(users: &Collection<Document>, person: &Person, previous: Option<(&Email, i64)>) {
    let mut update = doc! { "$unset": { "addressKeys": "" } };
    if let Some((address, days)) = previous {
        let until = DateTime::from_millis(NOW.plus_millis(days * 86_400_000).as_millis());
        update.insert("$set", doc! { "previousEmail": { "address": address.as_str(), "key": address.key().as_str(), "until": until } });
    }
    let id = doc! { "_id": Uuid::from_bytes(person.id().to_bytes()) };
    assert_eq!(users.update_one(id, update).await.expect("an answer").matched_count, 1);
}

/// What the older version asks for every 15 s; without it that serves nothing.
async fn look_of_older_version(database: &Database) -> Result<Document, mongodb::error::Error> {
    let index = doc! {
        "name": "previousEmail",
        "key": { "previousEmail.key": 1, "previousEmail.until": 1 },
        "partialFilterExpression": { "previousEmail.key": { "$exists": true } },
    };
    database.run_command(doc! { "createIndexes": "users", "indexes": [index] }).await
}

async fn records_of_an_older_version_are_taken_over_once_it_serves_nothing(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let store = connect(&database).await.expect("a store");
    let (ann, bob, cid, dan) =
        (Person::create(&*store).await, Person::create(&*store).await, Person::create(&*store).await, Person::create(&*store).await);
    store.close().await;
    let opened = database.open().await;
    let users = opened.collection::<Document>("users");
    let given_up = new_account().user.email;
    // Bob has given up what Ann has, and Cid later than Ann what she gave up.
    make_older(&users, &ann, Some((&given_up, 5))).await;
    make_older(&users, &bob, Some((&louder(ann.email()), 5))).await;
    make_older(&users, &cid, Some((&louder(&given_up), 6))).await;
    make_older(&users, &dan, None).await;
    users.drop_index("previousEmail").await.expect("dropped");
    look_of_older_version(&opened).await.expect("its own index");

    let begun = Instant::now();
    let store = MongoStore::connect(&database.uri()).expect("a store");
    let mut was_locked_out = false;
    while store.check().await.is_err() {
        was_locked_out |= look_of_older_version(&opened).await.is_err();
        assert!(begun.elapsed() < PATIENCE, "never taken over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(was_locked_out && begun.elapsed() > Duration::from_secs(30), "it may serve for 15 s after its latest look");
    let recovery = async |person: &Person| person.data(&store).await.recovery;
    assert_eq!(recovery(&ann).await, std::slice::from_ref(&given_up), "of several the one that gave it up first");
    for person in [&bob, &cid, &dan] {
        assert_eq!(recovery(person).await, []);
    }
    for taken in [ann.email(), dan.email(), &given_up] {
        let mut account = new_account();
        account.user.email = louder(taken);
        assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::EmailTaken);
    }
    assert_eq!(users.count_documents(doc! { "previousEmail": { "$exists": true } }).await.expect("a number"), 0);
    store.check().await.expect("and stays so");
    database.drop_database().await;
}
