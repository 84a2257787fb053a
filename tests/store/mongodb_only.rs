//! What only MongoDB can get wrong: indexes that are missing, and queries that do not use them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_functions::store::mongo::MongoStore;
use chat_functions::store::{Append, Creation, MessageCursor, Store, StoreError, Window};
use mongodb::bson::{Bson, Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;

use crate::people::{NOW, Pair, Person, account_named, hash, message, new_account, new_session, send};
use crate::support::mongodb::TestDatabase;
use crate::{Context, connect, tests};

/// The one way that these tests run in.
const MONGODB: &[&str] = &["mongodb"];

tests!(Context:
    a_dropped_unique_index_is_made_again in MONGODB,
    without_a_unique_index_nothing_is_served in MONGODB,
    no_query_looks_at_more_than_it_gives in MONGODB,
);

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
    users.insert_one(twin).await.expect("stored");
    assert!(store.check().await.is_err(), "the index cannot be made over duplicates");
    let refused = store.find_credentials(&account.user.email.key()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    users.delete_one(doc! { "usernameKey": "twin" }).await.expect("deleted");
    store.check().await.expect("made again");
    assert!(store.find_credentials(&account.user.email.key()).await.expect("an answer").is_some());
    database.drop_database().await;
}

/// The commands that a store sends, as the server gets them.
#[derive(Clone, Default)]
struct Commands(Arc<Mutex<Vec<Document>>>);

impl Commands {
    fn observer(&self) -> EventHandler<CommandEvent> {
        let commands = self.clone();
        EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event {
                commands.0.lock().expect("unpoisoned").push(started.command);
            }
        })
    }

    fn take(&self) -> Vec<Document> {
        std::mem::take(&mut *self.0.lock().expect("unpoisoned"))
    }
}

async fn no_query_looks_at_more_than_it_gives(_: Arc<Context>) {
    if std::env::var("TEST_MONGODB_SERVER").is_ok_and(|path| path.ends_with("secantusd-py")) {
        assert!(std::env::var_os("CI").is_none(), "NOT RUN: this server has no plans like MongoDB's");
        return eprintln!("NOT RUN: this server has no plans like MongoDB's");
    }
    let (database, commands) = (TestDatabase::new().expect("a server"), Commands::default());
    let store = MongoStore::connect_observed(&database.uri(), commands.observer()).expect("a store");
    while store.check().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (pair, carl) = (Pair::create(&store).await, Person::create(&store).await);
    for number in 0..30 {
        send(&store, &pair.message(&pair.ann, &number.to_string())).await;
    }
    commands.take();
    use_every_method(&store, &pair, &carl).await;
    let used = commands.take();
    let opened = database.open().await;
    let mut explained = 0;
    for command in used.into_iter().filter_map(explainable) {
        let plan = opened.run_command(doc! { "explain": command.clone(), "verbosity": "queryPlanner" }).await.expect("a plan");
        let stages = stages(&Bson::Document(plan));
        assert!(!stages.is_empty(), "{command}");
        for costly in ["COLLSCAN", "SORT"] {
            assert!(!stages.iter().any(|stage| stage == costly), "{costly} for {command}: {stages:?}");
        }
        explained += 1;
    }
    assert!(explained >= 15, "only {explained} commands were explained");
    store.close().await;
    database.drop_database().await;
}

async fn use_every_method(store: &dyn Store, pair: &Pair, carl: &Person) {
    let (ann, key) = (pair.ann.id(), pair.ann.key());
    let head = store.find_chat_head(pair.chat).await.expect("an answer");
    let keyed = message(pair.chat, ann, "keyed", Some("key"));
    let first = store.append_message(&keyed, head).await.expect("an answer");
    assert!(matches!(first, Append::Stored(_)));
    assert!(matches!(store.append_message(&keyed, head).await.expect("an answer"), Append::Replayed(_)));
    store.find_credentials(&pair.ann.account.user.email.key()).await.expect("an answer");
    store.start_session(ann, &hash(), None, &new_session(NOW)).await.expect("an answer");
    store.find_session(&key).await.expect("an answer");
    store.touch_session(&key, NOW.plus_millis(100_000)).await.expect("an answer");
    store.find_profile(&key).await.expect("an answer");
    store.find_peer(&key, carl.id()).await.expect("an answer");
    let _added = store.add_friend(ann, carl.id(), NOW).await.expect("an answer");
    let _again = store.add_friend(ann, carl.id(), NOW).await.expect("an answer");
    store.remove_friend(ann, carl.id()).await.expect("an answer");
    store.list_chat_ids(ann, 1_000).await.expect("an answer");
    for window in [Window::Newest, Window::Before(20), Window::After(5)] {
        store.list_chat_messages(pair.chat, window, 10).await.expect("an answer");
    }
    let newest = store.list_messages(ann, None, 10).await.expect("an answer");
    store.list_messages(ann, newest.last().map(MessageCursor::of).as_ref(), 10).await.expect("an answer");
    assert_eq!(store.create_account(&pair.ann.account).await.expect("an answer"), Creation::UsernameTaken);
    store.end_session(&key).await.expect("an answer");
}

/// The part of a command that says what is looked for, as a query that the server can explain.
fn explainable(command: Document) -> Option<Document> {
    let find = |collection: &Bson, filter: &Bson| doc! { "find": collection.clone(), "filter": filter.clone() };
    if command.contains_key("find") {
        let kept = ["find", "filter", "sort", "projection", "limit"];
        return Some(command.into_iter().filter(|(name, _)| kept.contains(&name.as_str())).collect());
    }
    if let (Some(collection), Some(query)) = (command.get("findAndModify"), command.get("query")) {
        return Some(find(collection, query));
    }
    let update = command.get_array("updates").ok()?.first()?.as_document()?;
    Some(find(command.get("update")?, update.get("q")?))
}

/// The names of all stages of the chosen plan.
fn stages(plan: &Bson) -> Vec<String> {
    match plan {
        Bson::Document(document) => {
            let own = document.get_str("stage").map(str::to_owned).ok();
            let inner = document.iter().filter(|(name, _)| *name != "rejectedPlans").flat_map(|(_, value)| stages(value));
            own.into_iter().chain(inner).collect()
        }
        Bson::Array(values) => values.iter().flat_map(stages).collect(),
        _ => Vec::new(),
    }
}
