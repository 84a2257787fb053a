//! How many operations each method takes.

use std::sync::Arc;

use chat_functions::domain::UserId;
use chat_functions::store::{ProfileChange, Store, StoreError, Window};

use crate::people::{NOW, Pair, Person, hash, message, new_account, new_session, send};
use crate::{Context, tests};

tests!(Context: each_method_keeps_its_number_of_operations);

async fn each_method_keeps_its_number_of_operations(context: Arc<Context>) {
    let store = context.quiet_store().await;
    let (pair, carl) = (Pair::create(&*store).await, Person::create(&*store).await);
    send(&*store, &pair.message(&pair.bob, "hello")).await;
    let (ann, key) = (pair.ann.id(), pair.ann.key());
    let head = store.find_chat_head(pair.chat).await.expect("an answer");
    let rename = ProfileChange { username: Some(new_account().user.username), ..ProfileChange::default() };
    let keyed = message(pair.chat, ann, "keyed", Some("key"));

    let mut meter = Meter { store: Arc::clone(&store), before: store.operations() };
    meter.spent("create_account", 1, store.create_account(&new_account()).await);
    meter.spent("find_credentials", 1, store.find_credentials(&pair.ann.account.user.email.key()).await);
    meter.spent("start_session", 1, store.start_session(ann, &hash(), None, &new_session(NOW)).await);
    meter.spent("find_session", 1, store.find_session(&key).await);
    meter.spent("touch_session", 1, store.touch_session(&key, NOW.plus_millis(100_000)).await);
    meter.spent("find_profile", 1, store.find_profile(&key).await);
    meter.spent("find_peer", 1, store.find_peer(&key, carl.id()).await);
    meter.spent("update_profile", 1, store.update_profile(ann, &rename).await);
    meter.spent("add_friend", 1, store.add_friend(ann, UserId::generate(), NOW).await);
    meter.spent("remove_friend", 1, store.remove_friend(ann, carl.id()).await);
    meter.spent("list_chat_ids", 1, store.list_chat_ids(ann, 1_000).await);
    meter.spent("find_chat_head", 1, store.find_chat_head(pair.chat).await);
    meter.spent("append_message", 2, store.append_message(&keyed, head).await);
    meter.spent(
        "append_message, repeated, and find_chat_head",
        3,
        store.append_message(&keyed, store.find_chat_head(pair.chat).await.expect("an answer")).await,
    );
    meter.spent("list_chat_messages", 1, store.list_chat_messages(pair.chat, Window::Newest, 100).await);
    meter.spent("list_messages", 2, store.list_messages(ann, None, 100).await);
    meter.spent("end_session", 1, store.end_session(&key).await);
    store.check().await.expect("an answer");
    assert_eq!(store.operations(), meter.before, "the upkeep is not counted");
}

/// Counts from one reading to the next.
struct Meter {
    store: Arc<dyn Store>,
    before: u64,
}

impl Meter {
    /// Checks what an operation took; none at all would mean that the counter stands still.
    #[track_caller]
    fn spent<T>(&mut self, what: &str, most: u64, answer: Result<T, StoreError>) {
        let _answered = answer.expect("an answer");
        let spent = self.store.operations() - self.before;
        self.before += spent;
        assert!((1..=most).contains(&spent), "{what}: {spent} operations, at most {most} expected");
    }
}
