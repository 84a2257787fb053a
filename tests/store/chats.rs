//! Chats and messages.

use std::sync::Arc;

use chat_functions::domain::UserId;
use chat_functions::store::{Append, Message, MessageCursor, Store, Window};
use proptest::test_runner::{Config, TestRunner};

use crate::people::{NOW, Pair, Person, head_of, message, send, stored};
use crate::{Context, tests};

tests!(Context:
    the_first_message_makes_the_chat,
    messages_are_numbered_without_a_gap_whatever_the_hint,
    time_never_runs_backwards_in_a_chat,
    text_comes_back_byte_for_byte,
    a_repeated_client_id_gives_the_first_message,
    a_client_id_with_another_text_changes_nothing,
    a_client_id_counts_per_sender_and_chat,
    windows_give_the_part_asked_for,
    any_walk_through_a_chat_gives_each_message_once,
    the_list_over_all_chats_is_newest_first_and_walks_by_cursor,
    equal_times_do_not_lose_messages,
    chats_are_listed_latest_first,
    others_see_nothing_of_a_chat,
    a_second_instance_sees_every_acknowledged_message,
);

async fn list(store: &dyn Store, pair: &Pair, window: Window, limit: usize) -> Vec<u64> {
    let page = store.list_chat_messages(pair.chat, window, limit).await.expect("a page");
    page.iter().map(|message| message.seq).collect()
}

async fn the_first_message_makes_the_chat(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    assert_eq!(context.store.find_chat_head(pair.chat).await.expect("an answer"), None);
    assert!(context.store.list_chat_ids(pair.ann.id(), 10).await.expect("a list").is_empty());
    let first = send(&*context.store, &pair.message(&pair.ann, "hello")).await;
    assert_eq!((first.chat, first.seq, first.sender, first.recipient()), (pair.chat, 1, pair.ann.id(), pair.bob.id()));
    assert_eq!(context.store.find_chat_head(pair.chat).await.expect("an answer"), Some(head_of(&first)));
    for member in [&pair.ann, &pair.bob] {
        assert_eq!(context.store.list_chat_ids(member.id(), 10).await.expect("a list"), [pair.chat]);
        assert_eq!(context.store.list_messages(member.id(), None, 10).await.expect("a list"), std::slice::from_ref(&first));
    }
}

async fn messages_are_numbered_without_a_gap_whatever_the_hint(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    let first = send(&*context.store, &pair.message(&pair.ann, "1")).await;
    let second = send(&*context.store, &pair.message(&pair.bob, "2")).await;
    for hint in [None, Some(head_of(&first)), Some(head_of(&second))] {
        let append = context.store.append_message(&pair.message(&pair.ann, "next"), hint).await.expect("an answer");
        let message = stored(append);
        assert_eq!(context.store.find_chat_head(pair.chat).await.expect("an answer"), Some(head_of(&message)));
    }
    assert_eq!(list(&*context.store, &pair, Window::Newest, 100).await, [1, 2, 3, 4, 5]);
}

async fn time_never_runs_backwards_in_a_chat(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    let mut times = Vec::new();
    for offset in [1_000, -5_000, 500, 2_000] {
        let mut next = pair.message(&pair.ann, "tick");
        next.sent_at = NOW.plus_millis(offset);
        times.push(send(&*context.store, &next).await.sent_at.as_millis() - NOW.as_millis());
    }
    assert_eq!(times, [1_000, 1_000, 1_000, 2_000]);
}

async fn text_comes_back_byte_for_byte(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    let longest = "😀".repeat(4_000);
    let texts = [" a ", "$set", "{\"$gt\":\"\"}", "'; DROP TABLE messages; --", "e\u{301}\u{feff}\r\n\t\u{2028}", &longest];
    for text in texts {
        assert_eq!(send(&*context.store, &pair.message(&pair.ann, text)).await.content, text);
    }
    let page = context.store.list_chat_messages(pair.chat, Window::Newest, 100).await.expect("a page");
    assert_eq!(page.iter().map(|message| message.content.as_str()).collect::<Vec<_>>(), texts);
}

async fn a_repeated_client_id_gives_the_first_message(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    let once = message(pair.chat, pair.ann.id(), "hello", Some("c-1"));
    let first = send(&*context.store, &once).await;
    send(&*context.store, &pair.message(&pair.bob, "in between")).await;
    for (store, hint) in [(&context.store, None), (&context.other, Some(head_of(&first)))] {
        let again = store.append_message(&once, hint).await.expect("an answer");
        assert_eq!(again, Append::Replayed(first.clone()));
    }
    assert_eq!(list(&*context.store, &pair, Window::Newest, 100).await, [1, 2]);
}

async fn a_client_id_with_another_text_changes_nothing(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    send(&*context.store, &message(pair.chat, pair.ann.id(), "hello", Some("c-1"))).await;
    let other = message(pair.chat, pair.ann.id(), "Hello", Some("c-1"));
    assert_eq!(context.store.append_message(&other, None).await.expect("an answer"), Append::Mismatch);
    assert_eq!(list(&*context.store, &pair, Window::Newest, 100).await, [1]);
}

async fn a_client_id_counts_per_sender_and_chat(context: Arc<Context>) {
    let (pair, carl) = (Pair::create(&*context.store).await, Person::create(&*context.store).await);
    let elsewhere = chat_functions::domain::ChatId::between(pair.ann.id(), carl.id()).expect("two people");
    let keyed = |chat, sender| message(chat, sender, "hello", Some("same"));
    assert_eq!(send(&*context.store, &keyed(pair.chat, pair.ann.id())).await.seq, 1);
    assert_eq!(send(&*context.store, &keyed(pair.chat, pair.bob.id())).await.seq, 2);
    assert_eq!(send(&*context.store, &keyed(elsewhere, pair.ann.id())).await.seq, 1);
}

async fn windows_give_the_part_asked_for(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    for number in 1..=10 {
        send(&*context.store, &pair.message(&pair.ann, &number.to_string())).await;
    }
    let expectations: [(Window, usize, &[u64]); 12] = [
        (Window::Newest, 3, &[8, 9, 10]),
        (Window::Newest, 100, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (Window::Before(10), 2, &[8, 9]),
        (Window::Before(3), 100, &[1, 2]),
        (Window::Before(1), 100, &[]),
        (Window::Before(0), 100, &[]),
        (Window::Before(u64::MAX), 1, &[10]),
        (Window::After(0), 2, &[1, 2]),
        (Window::After(8), 100, &[9, 10]),
        (Window::After(10), 100, &[]),
        (Window::After(11), 100, &[]),
        (Window::After(u64::MAX), 100, &[]),
    ];
    for (window, limit, expected) in expectations {
        assert_eq!(list(&*context.store, &pair, window, limit).await, expected, "{window:?} {limit}");
    }
    let nobody = Pair::create(&*context.store).await;
    assert!(list(&*context.store, &nobody, Window::Newest, 100).await.is_empty());
}

async fn any_walk_through_a_chat_gives_each_message_once(context: Arc<Context>) {
    const COUNT: u64 = 23;
    let pair = Pair::create(&*context.store).await;
    for _ in 0..COUNT {
        send(&*context.store, &pair.message(&pair.bob, "step")).await;
    }
    let handle = tokio::runtime::Handle::current();
    let walk = |limit: usize, forward: bool| {
        let mut seen: Vec<u64> = Vec::new();
        loop {
            let window = match (forward, seen.is_empty()) {
                (true, _) => Window::After(seen.last().copied().unwrap_or(0)),
                (false, true) => Window::Newest,
                (false, false) => Window::Before(seen[0]),
            };
            let page = handle.block_on(list(&*context.store, &pair, window, limit));
            match (page.is_empty(), forward) {
                (true, _) => return seen,
                (false, true) => seen.extend(page),
                (false, false) => drop(seen.splice(0..0, page)),
            }
        }
    };
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(12) });
        let walked = runner.run(&(1..30_usize, proptest::bool::ANY), |(limit, forward)| {
            proptest::prop_assert_eq!(walk(limit, forward), (1..=COUNT).collect::<Vec<_>>());
            Ok(())
        });
        walked.expect("every walk is whole");
    });
}

/// Walks the list over all chats to its end.
async fn walk_all(store: &dyn Store, user: UserId, limit: usize) -> Vec<Message> {
    let mut seen: Vec<Message> = Vec::new();
    loop {
        let cursor = seen.last().map(MessageCursor::of);
        let page = store.list_messages(user, cursor.as_ref(), limit).await.expect("a page");
        assert!(page.len() <= limit);
        if page.is_empty() {
            return seen;
        }
        seen.extend(page);
    }
}

/// Ann writes to several people and they write back, at the given times.
async fn talk(context: &Context, times: impl Iterator<Item = i64>) -> (Person, Vec<Message>) {
    let ann = Person::create(&*context.store).await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(Person::create(&*context.store).await);
    }
    let mut sent = Vec::new();
    for (number, millis) in times.enumerate() {
        let peer = &peers[number % 3];
        let chat = chat_functions::domain::ChatId::between(ann.id(), peer.id()).expect("two people");
        let sender = if number % 2 == 0 { ann.id() } else { peer.id() };
        let mut next = message(chat, sender, &format!("number {number}"), None);
        next.sent_at = NOW.plus_millis(millis);
        sent.push(send(&*context.store, &next).await);
    }
    (ann, sent)
}

async fn the_list_over_all_chats_is_newest_first_and_walks_by_cursor(context: Arc<Context>) {
    let (ann, mut sent) = talk(&context, (0..12).map(|number| number * 10)).await;
    sent.reverse();
    for limit in [1, 5, 100] {
        assert_eq!(walk_all(&*context.store, ann.id(), limit).await, sent);
    }
}

async fn equal_times_do_not_lose_messages(context: Arc<Context>) {
    let (ann, mut sent) = talk(&context, (0..12).map(|number| number / 6)).await;
    sent.sort_by_key(|message| std::cmp::Reverse(MessageCursor::of(message)));
    for limit in [1, 2, 5] {
        assert_eq!(walk_all(&*context.store, ann.id(), limit).await, sent);
    }
}

async fn chats_are_listed_latest_first(context: Arc<Context>) {
    let (ann, sent) = talk(&context, (0..5).map(|number| number * 10)).await;
    let expected = [sent[4].chat, sent[3].chat, sent[2].chat];
    assert_eq!(context.store.list_chat_ids(ann.id(), 100).await.expect("a list"), expected);
    assert_eq!(context.store.list_chat_ids(ann.id(), 2).await.expect("a list"), expected[..2]);
}

async fn others_see_nothing_of_a_chat(context: Arc<Context>) {
    let (pair, eve) = (Pair::create(&*context.store).await, Person::create(&*context.store).await);
    send(&*context.store, &pair.message(&pair.ann, "between us")).await;
    assert!(context.store.list_chat_ids(eve.id(), 10).await.expect("a list").is_empty());
    assert!(context.store.list_messages(eve.id(), None, 10).await.expect("a list").is_empty());
}

async fn a_second_instance_sees_every_acknowledged_message(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    for number in 1..=20_u64 {
        let (writer, reader) = if number % 2 == 0 { (&context.store, &context.other) } else { (&context.other, &context.store) };
        send(&**writer, &pair.message(&pair.ann, "ping")).await;
        assert_eq!(list(&**reader, &pair, Window::Newest, 1).await, [number]);
    }
}
