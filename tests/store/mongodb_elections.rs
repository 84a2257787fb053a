//! What only a set of several servers does: what one of them has may never be with the majority, and writes may be stuck while
//! reads are not.

use std::sync::Arc;
use std::time::Duration;

use chat_functions::domain::UserId;
use chat_functions::store::{Append, ChatHead, StoreError};
use mongodb::bson::{Document, doc};
use tokio::task::JoinSet;

use crate::mongodb_only::MONGODB;
use crate::people::{NOW, Pair, Person, send};
use crate::support::mongodb::TestDatabase;
use crate::wire_proxy::WireProxy;
use crate::{Context, connect_to, tests};

tests!(Context:
    no_number_is_put_after_one_that_the_majority_never_gets in MONGODB,
    changes_that_are_stuck_do_not_stop_reads in MONGODB,
);

/// What becomes of another instance's message that at first only the primary has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Undone,
    Kept,
    NeverKnown,
}

async fn no_number_is_put_after_one_that_the_majority_never_gets(_: Arc<Context>) {
    for fate in [Fate::Undone, Fate::Kept, Fate::NeverKnown] {
        let database = TestDatabase::new().expect("a server");
        let proxy = WireProxy::start(database.address()).await;
        let store = connect_to(&database.uri_through(proxy.port)).await.expect("a store");
        let messages = database.open().await.collection::<Document>("messages");
        let pair = Pair::create(&*store).await;
        let first = send(&*store, &pair.message(&pair.ann, "first")).await;
        let mut second = messages.find_one(doc! {}).await.expect("an answer").expect("a message");
        second.get_document_mut("_id").expect("a key").insert("seq", 2_i64);
        proxy.hide(2);
        messages.insert_one(second).await.expect("stored");

        let (sender, own) = (Arc::clone(&store), pair.message(&pair.bob, "own"));
        let head = ChatHead { last_seq: 1, last_sent_at: first.sent_at };
        let sending = tokio::spawn(async move { sender.append_message(&own, Some(head)).await });
        tokio::time::timeout(Duration::from_mins(1), async {
            while proxy.times_hidden() == 0 && !sending.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("the end of the chat is looked at");
        match fate {
            Fate::Undone => drop(messages.delete_one(doc! { "_id.seq": 2_i64 }).await.expect("undone")),
            Fate::Kept => proxy.hide(0),
            Fate::NeverKnown => {}
        }
        let sent = sending.await.expect("no panic");
        let expected = match (fate, &sent) {
            (Fate::Undone, Ok(Append::Stored(sent))) => (sent.seq == 2).then_some(2),
            (Fate::Kept, Ok(Append::Stored(sent))) => (sent.seq == 3).then_some(3),
            (Fate::NeverKnown, Err(StoreError::Overloaded)) => Some(2),
            _ => None,
        };
        let stored = messages.count_documents(doc! {}).await.expect("a number");
        assert_eq!(expected, Some(stored), "{fate:?}: {sent:?}");
        store.close().await;
        database.drop_database().await;
    }
}

async fn changes_that_are_stuck_do_not_stop_reads(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let proxy = WireProxy::start(database.address()).await;
    let store = connect_to(&database.uri_through(proxy.port)).await.expect("a store");
    let ann = Person::create(&*store).await;
    proxy.hold_changes();
    let mut stuck = JoinSet::new();
    for _ in 0..64 {
        let (store, ann) = (Arc::clone(&store), ann.id());
        stuck.spawn(async move { store.add_friend(ann, UserId::generate(), NOW).await });
    }
    let refused = stuck.join_next().await.expect("some").expect("no panic");
    assert!(matches!(refused, Err(StoreError::Overloaded)), "no more changes are begun: {refused:?}");
    store.find_profile(&ann.key()).await.expect("reads go on").expect("a session");
    stuck.shutdown().await;
    database.drop_database().await;
}
