//! Documents that do not decode cost nobody the rest of a list.

use std::sync::Arc;

use chat_functions::domain::{ChatId, UserId};
use chat_functions::store::{Conversation, ConversationCursor, MessageCursor, Store, StoreError, Window};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use mongodb::{Collection, Database};

use crate::mongodb_only::MONGODB;
use crate::people::{NOW, Pair, Person, message, send};
use crate::support::mongodb::TestDatabase;
use crate::{Context, connect, tests};

tests!(Context:
    a_conversation_that_does_not_decode_is_left_out_and_no_page_is_shorter_for_it in MONGODB,
    a_message_that_does_not_decode_is_left_out_of_all_lists_but_that_of_its_chat in MONGODB,
    somebody_whose_document_does_not_decode_takes_no_conversation_away in MONGODB,
);

/// What a field has whose value the program cannot have written.
const NONSENSE: [&str; 1] = ["of a later version"];

fn binary(chat: ChatId) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: chat.to_bytes().to_vec() }
}

async fn spoil(documents: &Collection<Document>, filter: Document, field: &str) {
    let spoilt = documents.update_one(filter, doc! { "$set": { field: NONSENSE.to_vec() } }).await.expect("an answer");
    assert_eq!(spoilt.modified_count, 1);
}

/// Chats of one person with others, the latest first.
async fn chats_of(store: &dyn Store, person: &Person, count: i64) -> Vec<ChatId> {
    let mut chats = Vec::new();
    for number in 0..count {
        let chat = ChatId::between(person.id(), UserId::generate()).expect("two people");
        let mut hello = message(chat, person.id(), "hello", None);
        hello.sent_at = NOW.plus_millis(number);
        send(store, &hello).await;
        chats.insert(0, chat);
    }
    chats
}

/// All pages of so many conversations, each as long as it may be but for the last.
async fn walk(store: &dyn Store, person: &Person, limit: usize) -> Vec<ChatId> {
    let (mut chats, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.list_conversations(person.id(), cursor.as_ref(), limit, NOW).await.expect("a page");
        chats.extend(page.iter().map(Conversation::chat));
        cursor = page.last().map(ConversationCursor::of);
        if page.len() < limit {
            return chats;
        }
    }
}

async fn a_conversation_that_does_not_decode_is_left_out_and_no_page_is_shorter_for_it(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let (store, opened) = (connect(&database).await.expect("a store"), database.open().await);
    let ann = Person::create(&*store).await;
    let mut chats = chats_of(&*store, &ann, 12).await;
    for (place, field) in
        [(0, "lastMessage.seq"), (1, "lastMessage.content"), (2, "readSeq.low"), (6, "lastMessage.sender"), (11, "readSeq")]
    {
        spoil(&opened.collection("chats"), doc! { "_id": binary(chats[place]) }, field).await;
    }
    for place in [11, 6, 2, 1, 0] {
        chats.remove(place);
    }
    for limit in [1, 2, 3, 7, 100] {
        assert_eq!(walk(&*store, &ann, limit).await, chats, "pages of {limit}");
    }
    store.close().await;
    database.drop_database().await;
}

async fn a_message_that_does_not_decode_is_left_out_of_all_lists_but_that_of_its_chat(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let (store, opened): (_, Database) = (connect(&database).await.expect("a store"), database.open().await);
    let pair = Pair::create(&*store).await;
    for (number, sender) in [&pair.ann, &pair.bob, &pair.ann, &pair.bob].into_iter().enumerate() {
        send(&*store, &pair.message(sender, &number.to_string())).await;
    }
    let other = chats_of(&*store, &pair.ann, 1).await[0];
    spoil(&opened.collection("messages"), doc! { "_id": { "chat": binary(pair.chat), "seq": 3_i64 } }, "sender").await;
    spoil(&opened.collection("messages"), doc! { "_id": { "chat": binary(pair.chat), "seq": 4_i64 } }, "content").await;

    let mut walked = Vec::new();
    let mut cursor: Option<MessageCursor> = None;
    while let [one] = &store.list_messages(pair.ann.id(), cursor.as_ref(), 1).await.expect("a page")[..] {
        walked.push((one.chat, one.seq));
        cursor = Some(MessageCursor::of(one));
    }
    walked.sort_unstable();
    let mut left = [(pair.chat, 1), (pair.chat, 2), (other, 1)];
    left.sort_unstable();
    assert_eq!(walked, left);
    let of_its_chat = store.list_chat_messages(pair.chat, Window::Newest, 10).await;
    assert!(matches!(of_its_chat, Err(StoreError::Broken(_))), "{of_its_chat:?}");
    assert_eq!(store.list_chat_messages(pair.chat, Window::Before(3), 10).await.expect("a page").len(), 2);
    store.close().await;
    database.drop_database().await;
}

async fn somebody_whose_document_does_not_decode_takes_no_conversation_away(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let (store, opened) = (connect(&database).await.expect("a store"), database.open().await);
    let pair = Pair::create(&*store).await;
    send(&*store, &pair.message(&pair.bob, "hello")).await;
    let before = store.list_conversations(pair.ann.id(), None, 10, NOW).await.expect("a page");
    assert!(before[0].peer.as_ref().is_some_and(|peer| peer.id == pair.bob.id()));
    let bob = mongodb::bson::Uuid::from_bytes(pair.bob.id().to_bytes());
    spoil(&opened.collection("users"), doc! { "_id": bob }, "lastSeen").await;
    let after = store.list_conversations(pair.ann.id(), None, 10, NOW).await.expect("a page");
    assert_eq!((after.len(), &after[0].last_message, after[0].peer.is_none()), (1, &before[0].last_message, true));
    store.close().await;
    database.drop_database().await;
}
