//! What only a file of SQLite can hold: rows that do not decode, put there past the program.

use std::sync::Arc;

use chat_functions::domain::{ChatId, RECOVERY_GRACE_MILLIS, RECOVERY_MILLIS};
use chat_functions::store::sqlite::SqliteStore;
use chat_functions::store::{Conversation, MessageCursor, Store, StoreError, Window};

use crate::addresses::moved;
use crate::people::{NOW, Pair, Person, message, send};
use crate::{Context, tests};

/// The one way that these tests run in.
const SQLITE: &[&str] = &["sqlite"];

tests!(Context:
    a_message_that_does_not_decode_is_left_out_of_lists_over_all_chats in SQLITE,
    a_message_that_does_not_decode_is_an_error_in_its_own_chat in SQLITE,
    a_conversation_that_does_not_decode_is_left_out in SQLITE,
    somebody_whose_row_does_not_decode_takes_no_conversation_away in SQLITE,
    whoever_has_both_added_and_blocked_the_caller_shows_them_nothing in SQLITE,
    a_way_back_is_forgotten_a_month_after_its_end in SQLITE,
);

/// A store and a second way to its file.
struct Spoiled {
    store: Box<dyn Store>,
    rows: rusqlite::Connection,
    _folder: tempfile::TempDir,
}

impl Spoiled {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Box::new(SqliteStore::open(folder.path()).expect("a store"));
        let rows = rusqlite::Connection::open(folder.path().join("chat.db")).expect("a connection");
        Self { store, rows, _folder: folder }
    }

    /// Gives a message a text that is no UTF-8.
    fn spoil(&self, chat: ChatId, seq: i64) {
        let update = "UPDATE messages SET content = CAST(x'ff' AS TEXT) WHERE chat = ?1 AND seq = ?2";
        assert_eq!(self.rows.execute(update, (chat.to_bytes(), seq)).expect("an answer"), 1);
    }
}

async fn a_message_that_does_not_decode_is_left_out_of_lists_over_all_chats(_: Arc<Context>) {
    let spoiled = Spoiled::open();
    let pair = Pair::create(&*spoiled.store).await;
    let mut good = Vec::new();
    for (number, sender) in [&pair.ann, &pair.bob, &pair.ann, &pair.bob, &pair.ann, &pair.bob].into_iter().enumerate() {
        good.push(send(&*spoiled.store, &pair.message(sender, &number.to_string())).await);
    }
    for seq in [3, 4, 6] {
        spoiled.spoil(pair.chat, seq);
    }
    good.retain(|message| ![3, 4, 6].contains(&message.seq));
    good.reverse();
    let store = &*spoiled.store;
    for reader in [&pair.ann, &pair.bob] {
        assert_eq!(store.list_messages(reader.id(), None, 3).await.expect("a page"), good, "the page is as full as it can be");
        let cursor = MessageCursor::of(&good[0]);
        assert_eq!(store.list_messages(reader.id(), Some(&cursor), 1).await.expect("a page"), good[1..2]);
    }
}

async fn a_message_that_does_not_decode_is_an_error_in_its_own_chat(_: Arc<Context>) {
    let spoiled = Spoiled::open();
    let pair = Pair::create(&*spoiled.store).await;
    for number in 1..=3 {
        send(&*spoiled.store, &pair.message(&pair.ann, &number.to_string())).await;
    }
    spoiled.spoil(pair.chat, 2);
    for window in [Window::Newest, Window::Before(3), Window::After(1)] {
        let answer = spoiled.store.list_chat_messages(pair.chat, window, 2).await;
        assert!(matches!(answer, Err(StoreError::Broken(_))), "{window:?}: {answer:?}");
    }
    assert_eq!(spoiled.store.list_chat_messages(pair.chat, Window::After(2), 2).await.expect("a page").len(), 1);
    assert_eq!(send(&*spoiled.store, &pair.message(&pair.bob, "4")).await.seq, 4, "and the chat goes on");
}

async fn a_conversation_that_does_not_decode_is_left_out(_: Arc<Context>) {
    let spoiled = Spoiled::open();
    let (store, ann) = (&*spoiled.store, Person::create(&*spoiled.store).await);
    let mut chats = Vec::new();
    for number in 0..5 {
        let chat = ChatId::between(ann.id(), Person::create(store).await.id()).expect("two people");
        let mut first = message(chat, ann.id(), "hello", None);
        first.sent_at = NOW.plus_millis(-number);
        send(store, &first).await;
        chats.push(chat);
    }
    // A text, a chat's id, and a message that are not what they should be.
    spoiled.spoil(chats[0], 1);
    let member = "INSERT INTO chat_members (user, chat, last_sent_at, read_seq) VALUES (?1, zeroblob(32), ?2, 0)";
    spoiled.rows.execute_batch("PRAGMA foreign_keys = OFF").expect("set");
    spoiled.rows.execute(member, (ann.id().to_bytes(), NOW.as_millis())).expect("stored");
    spoiled.rows.execute("DELETE FROM messages WHERE chat = ?1", [chats[2].to_bytes()]).expect("deleted");
    let listed = store.list_conversations(ann.id(), None, 2, NOW).await.expect("a page");
    assert_eq!(listed.iter().map(Conversation::chat).collect::<Vec<_>>(), [chats[1], chats[3]], "the page is as full as it can be");
    assert_eq!(store.list_chat_ids(ann.id(), 5).await.expect("a list"), chats);
}

async fn somebody_whose_row_does_not_decode_takes_no_conversation_away(_: Arc<Context>) {
    let spoiled = Spoiled::open();
    let (store, pair) = (&*spoiled.store, Pair::create(&*spoiled.store).await);
    let carl = Person::create(store).await;
    for friend in [&pair.bob, &carl] {
        pair.ann.add(store, friend).await;
    }
    let hello = send(store, &pair.message(&pair.bob, "hello")).await;
    let rename = "UPDATE users SET username = CAST(x'ff' AS TEXT) WHERE id = ?1";
    assert_eq!(spoiled.rows.execute(rename, [pair.bob.id().to_bytes()]).expect("an answer"), 1);
    let listed = store.list_conversations(pair.ann.id(), None, 10, NOW).await.expect("a page");
    assert_eq!(listed.iter().map(|seen| (&seen.last_message, &seen.peer)).collect::<Vec<_>>(), [(&hello, &None)]);
    let friends = store.list_friends(&pair.ann.key(), NOW).await.expect("an answer").expect("a session").record;
    assert_eq!(friends.iter().map(|friend| friend.person.id).collect::<Vec<_>>(), [carl.id()]);
}

async fn whoever_has_both_added_and_blocked_the_caller_shows_them_nothing(_: Arc<Context>) {
    let spoiled = Spoiled::open();
    let (store, pair) = (&*spoiled.store, Pair::create(&*spoiled.store).await);
    pair.ann.block(store, &pair.bob).await;
    pair.bob.block(store, &pair.ann).await;
    let add = "INSERT INTO friends (user, friend, added_at) VALUES (?1, ?2, 0)";
    spoiled.rows.execute(add, (pair.bob.id().to_bytes(), pair.ann.id().to_bytes())).expect("added");
    let listed = store.list_blocks(&pair.ann.key(), NOW).await.expect("an answer").expect("a session").record;
    assert_eq!(listed.iter().map(|person| person.has_added_caller).collect::<Vec<_>>(), [false]);
}

async fn a_way_back_is_forgotten_a_month_after_its_end(_: Arc<Context>) {
    let spoiled = Spoiled::open();
    let store = &*spoiled.store;
    let (person, addresses) = moved(store, 1).await;
    for (later, left) in [(-1, &addresses[..1]), (0, &[])] {
        let at = NOW.plus_millis(RECOVERY_MILLIS + RECOVERY_GRACE_MILLIS + later);
        store.take_due_mail(at, at).await.expect("an answer");
        assert_eq!(person.data(store).await.recovery, left);
    }
}
