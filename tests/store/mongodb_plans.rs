//! How MongoDB answers what it is asked: along an index, without looking at more than it gives, and without sorting.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chat_functions::domain::{MailKind, MailPurpose, UsernamePrefix};
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::{
    Append, BlockAddition, Change, ChangeListener, ConversationCursor, Creation, FriendAddition, HOLD_REGISTRATION_MILLIS, Link,
    MessageCursor, PendingRegistration, ProfileChange, ProfileUpdate, Quota, Store, Window,
};
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;

use crate::addresses::{move_by_link, put_way_back, verified, want};
use crate::mongodb_only::MONGODB;
use crate::people::{NOW, Pair, Person, hash, message, new_account, new_mail, new_registration, new_session, note, put_token, send};
use crate::support::mongodb::TestDatabase;
use crate::throttles::new_key;
use crate::{Context, tests};

tests!(Context: no_query_looks_at_more_than_it_gives in MONGODB);

/// The commands that a store sends, as the server gets them.
#[derive(Clone, Default)]
pub struct Commands(Arc<Mutex<Vec<Document>>>);

impl Commands {
    pub fn observer(&self) -> EventHandler<CommandEvent> {
        let commands = self.clone();
        EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event {
                commands.0.lock().expect("unpoisoned").push(started.command);
            }
        })
    }

    pub fn take(&self) -> Vec<Document> {
        std::mem::take(&mut *self.0.lock().expect("unpoisoned"))
    }
}

async fn no_query_looks_at_more_than_it_gives(_: Arc<Context>) {
    let (database, store, commands) = observed().await;
    let (pair, carl) = (Pair::create(&*store).await, Person::create(&*store).await);
    for number in 0..30 {
        send(&*store, &pair.message(&pair.ann, &number.to_string())).await;
    }
    commands.take();
    use_chats_and_sessions(&*store, &pair).await;
    use_lists(&*store, &pair, &carl).await;
    use_mail(&*store, &carl).await;
    use_names(&*store, &Person::create(&*store).await).await;
    use_addresses(&*store).await;
    use_counters(&*store).await;
    wait_for_changes(&*store, &commands).await;
    let used = commands.take();
    for command in &used {
        // Some servers refuse an empty order, which MongoDB takes for none.
        let mut options = ["sort", "projection", "hint", "collation"].iter().filter_map(|name| command.get_document(name).ok());
        assert!(options.all(|option| !option.is_empty()), "{command}");
    }
    let opened = database.open().await;
    let mut explained = 0;
    for command in used.into_iter().filter_map(explainable) {
        let plan = explain(&opened, &command, "queryPlanner").await;
        let stages = stages(&Bson::Document(plan));
        assert!(!stages.is_empty(), "{command}");
        assert!(stages.iter().any(|stage| stage.contains("IXSCAN") || stage == "IDHACK"), "no index for {command}: {stages:?}");
        for costly in ["COLLSCAN", "SORT"] {
            assert!(!stages.iter().any(|stage| stage == costly), "{costly} for {command}: {stages:?}");
        }
        explained += 1;
    }
    assert!(explained >= 85, "only {explained} commands were explained");
    store.close().await;
    database.drop_database().await;
}

/// A store whose commands are seen, on a database of its own.
pub async fn observed() -> (TestDatabase, Arc<dyn Store>, Commands) {
    let (database, commands) = (TestDatabase::new().expect("a server"), Commands::default());
    let store: Arc<dyn Store> = Arc::new(MongoStore::connect_observed(&database.uri(), commands.observer()).expect("a store"));
    while store.check().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (database, store, commands)
}

pub async fn explain(database: &Database, command: &Document, verbosity: &str) -> Document {
    database.run_command(doc! { "explain": command.clone(), "verbosity": verbosity }).await.expect("a plan")
}

/// Somebody who always waits.
struct Waiting;

impl ChangeListener for Waiting {
    fn is_waiting(&self) -> bool {
        true
    }

    fn notice(&self, _change: &Change) {}
}

/// Has the store look for changes in both collections.
async fn wait_for_changes(store: &dyn Store, commands: &Commands) {
    store.listen(Arc::new(Waiting));
    let is_sought = |marker: &str| {
        commands
            .0
            .lock()
            .expect("unpoisoned")
            .iter()
            .any(|command| command.get_document("filter").is_ok_and(|filter| filter.contains_key(marker)))
    };
    let begun = Instant::now();
    while !is_sought("changedAt") || !is_sought("accessChangedAt") {
        assert!(begun.elapsed() < Duration::from_mins(1), "changes are not asked for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn use_chats_and_sessions(store: &dyn Store, pair: &Pair) {
    let (ann, key) = (pair.ann.id(), pair.ann.key());
    let head = store.find_chat_head(pair.chat).await.expect("an answer");
    let keyed = message(pair.chat, ann, "keyed", Some("key"));
    let first = store.append_message(&keyed, head).await.expect("an answer");
    assert!(matches!(first, Append::Stored(_)));
    assert!(matches!(store.append_message(&keyed, head).await.expect("an answer"), Append::Replayed(_)));
    store.list_chat_ids(ann, 1_000).await.expect("an answer");
    for window in [Window::Newest, Window::Before(20), Window::After(5)] {
        store.list_chat_messages(pair.chat, window, 10).await.expect("an answer");
    }
    let newest = store.list_messages(ann, None, 10).await.expect("an answer");
    store.list_messages(ann, newest.last().map(MessageCursor::of).as_ref(), 10).await.expect("an answer");

    let listed = store.list_conversations(ann, None, 10, NOW).await.expect("an answer");
    store.list_conversations(ann, listed.last().map(ConversationCursor::of).as_ref(), 10, NOW).await.expect("an answer");
    for seq in [2, 1, 1_000] {
        let _marked = store.mark_read(pair.bob.id(), pair.chat, seq).await.expect("an answer");
    }

    store.find_credentials(&pair.ann.account.user.email.key()).await.expect("an answer");
    let session = new_session(NOW);
    store.start_session(ann, &hash(), None, &session).await.expect("an answer");
    store.find_session(&key).await.expect("an answer");
    store.touch_session(&key, NOW.plus_millis(100_000)).await.expect("an answer");
    store.list_sessions(&key).await.expect("an answer");
    store.find_own_credentials(&key).await.expect("an answer");
    assert!(store.end_session(&pair.ann.key_of(&session), NOW).await.expect("an answer"));
    store.end_other_sessions(&key).await.expect("an answer");
    assert!(store.change_password(&key, &hash(), &hash(), None).await.expect("an answer"));
}

async fn use_lists(store: &dyn Store, pair: &Pair, carl: &Person) {
    let (ann, key) = (pair.ann.id(), pair.ann.key());
    store.find_profile(&key).await.expect("an answer");
    store.find_account_data(&key).await.expect("an answer");
    store.find_peer(&key, carl.id()).await.expect("an answer");
    assert_eq!(store.add_friend(ann, carl.id(), NOW).await.expect("an answer"), FriendAddition::Added);
    assert_eq!(store.add_friend(ann, carl.id(), NOW).await.expect("an answer"), FriendAddition::AlreadyFriend);
    assert_eq!(store.list_friends(&key, NOW).await.expect("an answer").expect("a session").record.len(), 1);
    store.remove_friend(ann, carl.id()).await.expect("an answer");
    assert_eq!(store.block(ann, carl.id(), NOW).await.expect("an answer"), BlockAddition::Blocked);
    assert_eq!(store.block(ann, carl.id(), NOW).await.expect("an answer"), BlockAddition::Blocked);
    assert_eq!(store.list_blocks(&key, NOW).await.expect("an answer").expect("a session").record.len(), 1);
    assert!(store.unblock(ann, carl.id()).await.expect("an answer"));
    let prefix = UsernamePrefix::parse("person").expect("a beginning");
    assert_eq!(store.search_people(ann, &prefix, 2, NOW).await.expect("an answer").len(), 2);
    assert_eq!(store.find_people(ann, &[carl.id(), pair.bob.id()], NOW).await.expect("an answer").len(), 2);
}

async fn use_mail(store: &dyn Store, person: &Person) {
    let (user, address) = (person.id(), &person.account.user.email);
    for kind in [MailKind::PasswordReset, MailKind::PasswordChanged] {
        store.order_mail(user, &new_mail(kind, address, NOW)).await.expect("ordered");
    }
    let mail = store.take_due_mail(NOW, NOW.plus_millis(1)).await.expect("an answer").expect("a mail");
    store.postpone_mail(&mail, NOW.plus_millis(2), Link::TakenBack).await.expect("postponed");
    assert_eq!(store.count_mail().await.expect("a number"), 2);
    store.finish_mail(&mail).await.expect("finished");
    store.find_address_owner(&address.key(), NOW).await.expect("an answer").expect("an owner");
    let token = put_token(store, user, MailPurpose::Verification, address).await;
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), Some(user));
    let token = put_token(store, user, MailPurpose::PasswordReset, address).await;
    assert!(store.find_mail_token(&token.hash, token.purpose, NOW).await.expect("an answer").is_some());
    assert_eq!(store.reset_password(&token.hash, &hash(), NOW, true).await.expect("an answer"), Some(user));
    let registration = new_registration(&new_account().user.email);
    assert!(note(store, &registration).await);
    let mail = new_mail(MailKind::Verification, &registration.email, NOW);
    let pending = PendingRegistration { id: registration.id, password_hash: hash(), created_at: NOW };
    assert!(store.repeat_registration(&pending, &mail).await.expect("an answer"));
    let token = put_token(store, registration.id, MailPurpose::Verification, &registration.email).await;
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), Some(registration.id));
}

async fn use_names(store: &dyn Store, person: &Person) {
    let mut taken = new_account();
    taken.user.username = person.account.user.username.clone();
    assert_eq!(store.create_account(&taken).await.expect("an answer"), Creation::UsernameTaken);
    let registration = new_registration(&new_account().user.email);
    assert!(note(store, &registration).await);
    let change = ProfileChange { username: Some(registration.username.clone()), ..ProfileChange::default() };
    let when_expired = NOW.plus_millis(HOLD_REGISTRATION_MILLIS);
    assert_eq!(store.update_profile(&person.key(), &change, NOW).await.expect("an answer"), ProfileUpdate::UsernameTaken);
    let updated = store.update_profile(&person.key(), &change, when_expired).await.expect("an answer");
    assert!(matches!(updated, ProfileUpdate::Updated(_)));
    assert!(store.delete_account(person.id(), &hash(), NOW).await.expect("an answer"));
}

async fn use_addresses(store: &dyn Store) {
    let (owner, new) = (verified(store).await, new_account().user.email);
    assert!(matches!(want(store, &owner, &new, NOW).await, ProfileUpdate::Updated(_)));
    move_by_link(store, &owner, &new, NOW).await;
    let mut taken = new_account();
    taken.user.email = new;
    assert_eq!(store.create_account(&taken).await.expect("an answer"), Creation::EmailTaken);
    let link = put_way_back(store, &owner, owner.email()).await;
    assert_eq!(store.reset_password(&link.hash, &hash(), NOW, true).await.expect("an answer"), Some(owner.id()));
}

async fn use_counters(store: &dyn Store) {
    let (key, quota) = (new_key(), Quota { count: 1, window_millis: 1_000 });
    let ticket = store.take(&key, quota, NOW).await.expect("an answer").outcome.expect("room");
    assert!(store.take(&key, quota, NOW).await.expect("an answer").outcome.is_err());
    store.give_back(&ticket, Some(NOW)).await.expect("given back");
}

/// The part of a command that says what is looked for, as a query that the server can explain.
pub fn explainable(command: Document) -> Option<Document> {
    if command.contains_key("find") {
        let kept = ["find", "filter", "sort", "projection", "limit"];
        return Some(command.into_iter().filter(|(name, _)| kept.contains(&name.as_str())).collect());
    }
    if command.contains_key("aggregate") && !is_stream(&command) {
        let kept = ["aggregate", "pipeline", "cursor"];
        return Some(command.into_iter().filter(|(name, _)| kept.contains(&name.as_str())).collect());
    }
    if let (Some(collection), Some(query)) = (command.get("findAndModify"), command.get("query")) {
        let sort = command.get_document("sort").cloned().unwrap_or_default();
        return Some(doc! { "find": collection.clone(), "filter": query.clone(), "sort": sort });
    }
    let (collection, changes) = match (command.get("update"), command.get("delete")) {
        (Some(collection), _) => (collection, command.get_array("updates")),
        (_, Some(collection)) => (collection, command.get_array("deletes")),
        _ => return None,
    };
    let change = changes.ok()?.first()?.as_document()?;
    Some(doc! { "find": collection.clone(), "filter": change.get("q")?.clone() })
}

/// Whether a command opens a change stream, which the server does not explain.
fn is_stream(command: &Document) -> bool {
    command.get_array("pipeline").is_ok_and(|stages| format!("{stages:?}").contains("$changeStream"))
}

/// The names of all stages of the chosen plan.
pub fn stages(plan: &Bson) -> Vec<String> {
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
