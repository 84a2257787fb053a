//! What only MongoDB can get wrong: indexes that are missing, documents of another make, steps that were not finished.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::domain::{MailKind, MailPurpose};
use chat_functions::store::{AddressMail, Creation, EmailChange, Link, ProfileChange, ProfileUpdate, Store, StoreError};
use mongodb::bson::{DateTime, Document, Uuid, doc};
use mongodb::{Collection, Database};
use tokio::task::JoinSet;

use crate::people::{NOW, Person, account_named, hash, new_account, new_mail, put_token, to_email};
use crate::support::mongodb::TestDatabase;
use crate::support::proxy::{Mode, Proxy};
use crate::{Context, connect, connect_to, tests};

/// The one way that these tests run in.
pub const MONGODB: &[&str] = &["mongodb"];

tests!(Context:
    every_index_that_is_dropped_is_made_again in MONGODB,
    a_dropped_unique_index_is_made_again in MONGODB,
    without_a_unique_index_nothing_is_served in MONGODB,
    people_without_the_fields_of_later_versions_can_do_everything in MONGODB,
    a_deletion_that_was_cut_short_is_finished in MONGODB,
    mail_that_cannot_be_read_does_not_hold_up_the_rest in MONGODB,
    what_a_slow_server_has_no_time_for_is_refused_and_does_not_queue in MONGODB,
);

/// The definitions of all indexes, by collection and name.
async fn indexes(database: &Database) -> BTreeMap<String, Document> {
    let mut all = BTreeMap::new();
    for collection in ["users", "chats", "messages", "throttles"] {
        let answer = database.run_command(doc! { "listIndexes": collection }).await.expect("an answer");
        let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch")).expect("a batch");
        for index in batch.iter().filter_map(|index| index.as_document()) {
            all.insert(format!("{collection}.{}", index.get_str("name").expect("a name")), index.clone());
        }
    }
    all
}

async fn every_index_that_is_dropped_is_made_again(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let store = connect(&database).await.expect("a store");
    let opened = database.open().await;
    let complete = indexes(&opened).await;
    for collection in ["users", "chats", "messages", "throttles"] {
        opened.collection::<Document>(collection).drop_indexes().await.expect("dropped");
    }
    assert_eq!(indexes(&opened).await.len(), 4, "one on the key of each collection");
    store.check().await.expect("made again");
    assert_eq!(indexes(&opened).await, complete);
    for expiring in ["users.held", "throttles.expired"] {
        let seconds = complete.get(expiring).and_then(|index| index.get("expireAfterSeconds"));
        let at_once = seconds.is_some_and(|seconds| seconds.as_i64().or(seconds.as_i32().map(i64::from)) == Some(0));
        assert!(at_once, "{expiring}: {seconds:?}");
    }
    database.drop_database().await;
}

async fn a_dropped_unique_index_is_made_again(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let store = connect(&database).await.expect("a store");
    let users = database.open().await.collection::<Document>("users");
    users.drop_index("email").await.expect("dropped");
    store.check().await.expect("made again");
    let first = new_account();
    assert_eq!(store.create_account(&first).await.expect("an answer"), Creation::Created);
    let second = account_named("somebody", first.user.email.as_str());
    assert_eq!(store.create_account(&second).await.expect("an answer"), Creation::EmailTaken);
    database.drop_database().await;
}

async fn without_a_unique_index_nothing_is_served(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let store = connect(&database).await.expect("a store");
    let account = new_account();
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created);
    let users = database.open().await.collection::<Document>("users");
    users.drop_index("email").await.expect("dropped");
    let mut twin = users.find_one(doc! {}).await.expect("an answer").expect("a document");
    twin.insert("_id", "a twin that no index prevents");
    twin.insert("usernameKey", "twin");
    twin.remove("addressKeys");
    users.insert_one(twin).await.expect("stored");
    assert!(store.check().await.is_err(), "the index cannot be made over duplicates");
    let refused = store.find_credentials(&account.user.email.key()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    users.delete_one(doc! { "usernameKey": "twin" }).await.expect("deleted");
    store.check().await.expect("made again");
    assert!(store.find_credentials(&account.user.email.key()).await.expect("an answer").is_some());
    database.drop_database().await;
}

/// Somebody whose document is as it was before there was mail.
async fn person_of_old(store: &dyn Store, users: &Collection<Document>) -> Person {
    let person = Person::create(store).await;
    let later_fields = doc! { "mail": "", "mailCount": "", "mailDueAt": "", "mailTokens": "" };
    let stripped = users.update_one(id_of(&person), doc! { "$unset": later_fields }).await.expect("an answer");
    assert_eq!(stripped.modified_count, 1);
    person
}

fn id_of(person: &Person) -> Document {
    doc! { "_id": Uuid::from_bytes(person.id().to_bytes()) }
}

async fn people_without_the_fields_of_later_versions_can_do_everything(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let (store, users) = (connect(&database).await.expect("a store"), database.open().await.collection("users"));
    let of_old = async || person_of_old(&*store, &users).await;
    let (ann, bob) = (of_old().await, of_old().await);
    let address = &ann.account.user.email;

    store.order_mail(ann.id(), &new_mail(MailKind::Verification, address, NOW)).await.expect("ordered");
    let mail = store.take_due_mail(NOW, NOW.plus_millis(1)).await.expect("an answer").expect("a mail");
    let stripped = doc! { "$unset": { "mail": "", "mailCount": "", "mailDueAt": "" } };
    users.update_one(id_of(&ann), stripped).await.expect("stripped again");
    store.postpone_mail(&mail, NOW, Link::Stays).await.expect("nothing to do");
    store.finish_mail(&mail).await.expect("nothing to do");
    assert_eq!(store.take_due_mail(NOW, NOW).await.expect("an answer"), None);

    let token = put_token(&*store, ann.id(), MailPurpose::Verification, address).await;
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), Some(ann.id()));
    let email = Some(EmailChange { mail: AddressMail::ToBoth, ..to_email(&new_account().user.email) });
    let change = ProfileChange { email, ..ProfileChange::default() };
    let updated = store.update_profile(&bob.key(), &change, NOW).await.expect("an answer");
    assert!(matches!(updated, ProfileUpdate::Updated(_)), "{updated:?}");
    let person = of_old().await;
    assert!(store.change_password(&person.key(), &hash(), &hash(), Some(NOW)).await.expect("an answer"));
    assert_eq!(store.count_mail().await.expect("a number"), 3);

    let data = store.find_account_data(&ann.key()).await.expect("an answer").expect("a session").record;
    assert_eq!((data.user.is_email_verified, data.recovery_until), (true, None));
    assert_eq!(store.find_people(ann.id(), &[bob.id()], NOW).await.expect("an answer").len(), 1);
    assert!(store.delete_account(of_old().await.id(), &hash(), NOW).await.expect("an answer"));
    database.drop_database().await;
}

async fn a_deletion_that_was_cut_short_is_finished(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let (store, users) = (connect(&database).await.expect("a store"), database.open().await.collection::<Document>("users"));
    let (ann, bob) = (Person::create(&*store).await, Person::create(&*store).await);
    assert!(store.delete_account(bob.id(), &hash(), NOW).await.expect("an answer"));
    store.close().await;
    let friend = doc! { "id": Uuid::from_bytes(bob.id().to_bytes()), "addedAt": DateTime::from_millis(NOW.as_millis()) };
    users.update_one(id_of(&ann), doc! { "$push": { "friends": friend } }).await.expect("stored");
    users.update_one(id_of(&bob), doc! { "$set": { "isListed": true } }).await.expect("stored");

    let store = connect(&database).await.expect("a store");
    let listed = store.list_friends(&ann.key(), NOW).await.expect("an answer").expect("a session").record;
    assert!(listed.is_empty(), "hidden all the while");
    let begun = Instant::now();
    while !ann.profile(&*store).await.friends.is_empty() || users.count_documents(doc! { "isListed": true }).await.expect("a number") > 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "the upkeep does not finish it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    database.drop_database().await;
}

async fn mail_that_cannot_be_read_does_not_hold_up_the_rest(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let (store, users) = (connect(&database).await.expect("a store"), database.open().await.collection::<Document>("users"));
    let (ann, bob) = (Person::create(&*store).await, Person::create(&*store).await);
    for (person, at) in [(&ann, NOW), (&bob, NOW.plus_millis(1))] {
        store.order_mail(person.id(), &new_mail(MailKind::Verification, &person.account.user.email, at)).await.expect("ordered");
    }
    users.update_one(id_of(&ann), doc! { "$set": { "mail.0.kind": "of a later version" } }).await.expect("stored");
    let (at, until) = (NOW.plus_millis(10), NOW.plus_millis(1_000));
    let unreadable = store.take_due_mail(at, until).await;
    assert!(matches!(unreadable, Err(StoreError::Broken(_))), "{unreadable:?}");
    let mail = store.take_due_mail(at, until).await.expect("an answer").expect("a mail");
    assert_eq!(mail.user, bob.id());
    assert_eq!(store.take_due_mail(at, until).await.expect("an answer"), None);
    database.drop_database().await;
}

/// More at once than there are connections.
const AT_ONCE: usize = 600;
/// The connections for operations and for upkeep, and what the driver has of its own to watch the server.
const CONNECTIONS: usize = 32 + 4 + 4;

async fn what_a_slow_server_has_no_time_for_is_refused_and_does_not_queue(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let proxy = Proxy::start(database.address(), Mode::Forward, "nothing").await;
    let store = connect_to(&database.uri_through(proxy.port())).await.expect("a store");
    let ann = Person::create(&*store).await;
    proxy.set(Mode::Slow);
    let mut asked = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (store, key) = (Arc::clone(&store), ann.key());
        asked.spawn(async move { store.find_profile(&key).await });
    }
    let answers = asked.join_all().await;
    let is_refusal = |error: &StoreError| matches!(error, StoreError::Overloaded | StoreError::Unavailable(_));
    assert!(answers.iter().all(|answer| answer.as_ref().err().is_none_or(is_refusal)), "{answers:?}");
    let served = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((1..AT_ONCE).contains(&served), "{served} are served");
    assert!(proxy.connections() <= CONNECTIONS, "{} connections", proxy.connections());
    // Nothing of what was refused is asked before what is asked now.
    let before = proxy.requests();
    proxy.set(Mode::Forward);
    store.find_profile(&ann.key()).await.expect("an answer").expect("a session");
    let since = proxy.requests() - before;
    assert!(since <= 2 * CONNECTIONS, "{since} requests");
    store.close().await;
    database.drop_database().await;
}
