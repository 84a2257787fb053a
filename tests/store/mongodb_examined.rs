//! Lists have MongoDB look at what they give and at nothing else, however much there is.

use std::sync::Arc;

use chat_functions::domain::{ChatId, UserId, UsernamePrefix};
use chat_functions::store::{ConversationCursor, MessageCursor, Store, Window};
use mongodb::bson::{Bson, Document};

use crate::mongodb_only::MONGODB;
use crate::mongodb_plans::{explain, explainable, observed, stages};
use crate::people::{NOW, Person, message, send};
use crate::{Context, tests};

/// Entries of a page; there are several pages.
const LIMIT: usize = 10;

tests!(Context: no_list_examines_more_than_it_returns in MONGODB);

/// Somebody in 30 chats of three messages, each sent at a time of its own; one of the chats.
async fn talk(store: &dyn Store) -> (Person, ChatId) {
    let (ann, mut chats) = (Person::create(store).await, Vec::new());
    for number in 0..90 {
        if number < 30 {
            chats.push(ChatId::between(ann.id(), UserId::generate()).expect("two people"));
        }
        let mut hello = message(chats[number % 30], ann.id(), "hello", None);
        hello.sent_at = NOW.plus_millis(i64::try_from(number).expect("small"));
        send(store, &hello).await;
    }
    (ann, chats[0])
}

async fn no_list_examines_more_than_it_returns(_: Arc<Context>) {
    let (database, store, commands) = observed().await;
    let (ann, chat) = talk(&*store).await;
    for _ in 0..LIMIT {
        Person::create(&*store).await;
    }
    commands.take();
    let newest = store.list_conversations(ann.id(), None, LIMIT, NOW).await.expect("a page");
    let next = store.list_conversations(ann.id(), newest.last().map(ConversationCursor::of).as_ref(), LIMIT, NOW).await.expect("a page");
    assert_eq!((newest.len(), next.len()), (LIMIT, LIMIT));
    store.list_chat_ids(ann.id(), LIMIT).await.expect("a list");
    let newest = store.list_messages(ann.id(), None, LIMIT).await.expect("a page");
    store.list_messages(ann.id(), newest.last().map(MessageCursor::of).as_ref(), LIMIT).await.expect("a page");
    for window in [Window::Newest, Window::Before(3), Window::After(1)] {
        store.list_chat_messages(chat, window, 2).await.expect("a page");
    }
    let prefix = UsernamePrefix::parse("person").expect("a beginning");
    store.search_people(ann.id(), &prefix, LIMIT, NOW).await.expect("a page");

    let opened = database.open().await;
    // Messages of all chats are sought among those sent and those received.
    let lists: Vec<_> = commands.take().into_iter().filter(is_sorted).filter_map(explainable).collect();
    assert_eq!(lists.len(), 11, "{lists:?}");
    for list in lists {
        let plan = explain(&opened, &list, "executionStats").await;
        let stages = stages(&Bson::Document(plan.clone()));
        assert!(stages.iter().all(|stage| stage != "SORT"), "{list}: {stages:?}");
        let count = |name| number(plan.get_document("executionStats").expect("numbers").get(name));
        // What a cursor names is looked at once more.
        let surplus = i64::from(list.get_document("filter").is_ok_and(|filter| filter.contains_key("$or")));
        let (returned, documents, keys) = (count("nReturned"), count("totalDocsExamined"), count("totalKeysExamined"));
        assert!(documents <= returned + surplus, "{documents} documents for {returned} of {list}");
        // The key that ends a walk may count.
        assert!(keys <= returned + surplus + 1, "{keys} keys for {returned} of {list}");
    }
    store.close().await;
    database.drop_database().await;
}

fn is_sorted(command: &Document) -> bool {
    command.get_document("sort").is_ok_and(|sort| !sort.is_empty())
}

fn number(value: Option<&Bson>) -> i64 {
    value.and_then(|value| value.as_i64().or(value.as_i32().map(i64::from))).expect("a number")
}
