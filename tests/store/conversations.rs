//! Conversations: their order, and what each shows.

use std::cmp::Reverse;
use std::sync::Arc;

use chat_functions::domain::{ChatId, Session, UserId};
use chat_functions::store::{Conversation, ConversationCursor, Marking, Message, Person as SeenPerson, Store};

use crate::people::{NOW, Pair, Person, message, send};
use crate::read_marks::mark;
use crate::{Context, tests};

tests!(Context:
    a_conversation_begins_with_the_first_message,
    conversations_are_newest_first_and_walk_by_cursor,
    conversations_of_equal_times_are_each_listed_once,
    a_message_brings_its_conversation_to_the_front,
    the_other_person_is_seen_as_on_a_list_of_friends,
    a_deleted_person_leaves_the_conversation,
    who_blocks_the_reader_stays_listed_and_tells_nothing,
);

/// All of somebody's conversations that one page holds.
pub async fn list(store: &dyn Store, reader: &Person) -> Vec<Conversation> {
    store.list_conversations(reader.id(), None, 100, NOW).await.expect("a page")
}

/// Somebody's only conversation.
pub async fn only(store: &dyn Store, reader: &Person) -> Conversation {
    let mut listed = list(store, reader).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    listed.remove(0)
}

/// Two people, of whom Ann has written this many messages.
pub async fn pair_with(store: &dyn Store, messages: u64) -> Pair {
    let pair = Pair::create(store).await;
    for _ in 0..messages {
        send(store, &pair.message(&pair.ann, "hello")).await;
    }
    pair
}

async fn a_conversation_begins_with_the_first_message(context: Arc<Context>) {
    let (store, pair) = (&*context.store, Pair::create(&*context.store).await);
    for member in [&pair.ann, &pair.bob] {
        assert!(list(store, member).await.is_empty());
    }
    let last_message = send(store, &pair.message(&pair.ann, "hello")).await;
    for (reader, other, read_seq, peer_read_seq) in [(&pair.ann, &pair.bob, 1, 0), (&pair.bob, &pair.ann, 0, 1)] {
        let seen = only(&*context.other, reader).await;
        let peer = Some(seen_person(other));
        assert_eq!(seen, Conversation { reader: reader.id(), last_message: last_message.clone(), read_seq, peer_read_seq, peer });
    }
}

/// Somebody who has an account, a session of now, and nobody as a friend.
fn seen_person(person: &Person) -> SeenPerson {
    SeenPerson {
        id: person.id(),
        username: person.account.user.username.clone(),
        has_added_caller: false,
        last_active: Some(NOW),
        last_seen: Some(NOW),
    }
}

/// Ann's chats, one for each time at which a message is sent in it.
async fn chats_at(store: &dyn Store, times: impl Iterator<Item = i64>) -> (Person, Vec<Message>) {
    let ann = Person::create(store).await;
    let mut sent = Vec::new();
    for millis in times {
        // Whom nobody has heard of yet: a conversation needs no account.
        let chat = ChatId::between(ann.id(), UserId::generate()).expect("two people");
        let mut next = message(chat, ann.id(), "hello", None);
        next.sent_at = NOW.plus_millis(millis);
        sent.push(send(store, &next).await);
    }
    (ann, sent)
}

/// Walks the list of conversations to its end.
async fn walk(store: &dyn Store, reader: &Person, limit: usize) -> Vec<Message> {
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.list_conversations(reader.id(), cursor.as_ref(), limit, NOW).await.expect("a page");
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return seen };
        cursor = Some(ConversationCursor::of(last));
        seen.extend(page.into_iter().map(|conversation| conversation.last_message));
    }
}

async fn conversations_are_newest_first_and_walk_by_cursor(context: Arc<Context>) {
    // 17 is prime to 40: the times come in no order.
    let (ann, mut sent) = chats_at(&*context.store, (0..40).map(|number| number * 17 % 40)).await;
    sent.sort_by_key(|message| Reverse(message.sent_at));
    for limit in [1, 7, 40, 100] {
        assert_eq!(walk(&*context.other, &ann, limit).await, sent, "{limit} a page");
    }
}

async fn conversations_of_equal_times_are_each_listed_once(context: Arc<Context>) {
    let (ann, mut sent) = chats_at(&*context.store, (0..40).map(|number| number * 17 % 4)).await;
    sent.sort_by_key(|message| Reverse((message.sent_at, message.chat)));
    for limit in [1, 7, 10, 100] {
        assert_eq!(walk(&*context.other, &ann, limit).await, sent, "{limit} a page");
    }
}

async fn a_message_brings_its_conversation_to_the_front(context: Arc<Context>) {
    let (ann, sent) = chats_at(&*context.store, 0..3).await;
    let mut next = message(sent[0].chat, ann.id(), "again", None);
    next.sent_at = NOW.plus_millis(10);
    let newest = send(&*context.store, &next).await;
    let expected = [newest, sent[2].clone(), sent[1].clone()];
    assert_eq!(walk(&*context.other, &ann, 2).await, expected);
    next.sent_at = NOW;
    next.chat = sent[1].chat;
    let late = send(&*context.store, &next).await;
    assert_eq!(late.sent_at, sent[1].sent_at, "never before its predecessor");
    assert_eq!(walk(&*context.other, &ann, 2).await, [expected[0].clone(), expected[1].clone(), late]);
}

async fn the_other_person_is_seen_as_on_a_list_of_friends(context: Arc<Context>) {
    let (store, pair) = (&*context.store, pair_with(&*context.store, 1).await);
    pair.bob.add(store, &pair.ann).await;
    store.touch_session(&pair.bob.key(), NOW.plus_millis(Session::TOUCH_AFTER_MILLIS)).await.expect("touched");
    let used = Some(NOW.plus_millis(Session::TOUCH_AFTER_MILLIS));
    let page = store.list_conversations(pair.ann.id(), None, 10, NOW).await.expect("a page");
    let expected = SeenPerson { has_added_caller: true, last_active: used, last_seen: used, ..seen_person(&pair.bob) };
    assert_eq!(page.into_iter().map(|seen| seen.peer).collect::<Vec<_>>(), [Some(expected)]);
    assert!(!only(store, &pair.bob).await.peer.expect("a person").has_added_caller, "it is one-sided");
}

async fn a_deleted_person_leaves_the_conversation(context: Arc<Context>) {
    let (store, pair) = (&*context.store, pair_with(&*context.store, 3).await);
    assert_eq!(mark(store, &pair.bob, pair.chat, 2).await, Marking::Read { read_seq: 2, last_seq: 3 });
    let before = only(store, &pair.bob).await;
    pair.ann.delete(store).await;
    assert_eq!(only(&*context.other, &pair.bob).await, Conversation { peer: None, ..before });
    assert_eq!(mark(store, &pair.bob, pair.chat, 3).await, Marking::Read { read_seq: 3, last_seq: 3 });
}

async fn who_blocks_the_reader_stays_listed_and_tells_nothing(context: Arc<Context>) {
    let (store, pair) = (&*context.store, pair_with(&*context.store, 1).await);
    pair.bob.add(store, &pair.ann).await;
    assert!(only(store, &pair.ann).await.peer.expect("a person").has_added_caller);
    pair.bob.block(store, &pair.ann).await;
    for (reader, other) in [(&pair.ann, &pair.bob), (&pair.bob, &pair.ann)] {
        let peer = only(&*context.other, reader).await.peer.expect("a person");
        assert_eq!((peer.id, peer.has_added_caller), (other.id(), false));
    }
}
