//! Read marks: how far each member has read.

use std::sync::Arc;

use chat_functions::domain::ChatId;
use chat_functions::store::{Marking, Store};

use crate::conversations::{list, only, pair_with};
use crate::people::{Pair, Person, message, send, stored};
use crate::races::{at_once, patiently};
use crate::{Context, tests};

tests!(Context:
    each_member_has_their_own_mark,
    a_message_marks_what_its_sender_has_read,
    a_mark_never_moves_back,
    a_mark_beyond_the_last_message_changes_nothing,
    nobody_marks_a_chat_that_is_not_theirs,
    a_mark_before_the_first_message_changes_nothing,
    of_50_marks_at_once_the_highest_wins,
    an_acknowledged_message_can_be_marked_at_once,
    a_second_instance_sees_every_acknowledged_mark,
);

/// How far the reader and the other person have read, as the reader sees it.
async fn marks(store: &dyn Store, reader: &Person) -> (u64, u64) {
    let seen = only(store, reader).await;
    (seen.read_seq, seen.peer_read_seq)
}

pub async fn mark(store: &dyn Store, reader: &Person, chat: ChatId, seq: u64) -> Marking {
    store.mark_read(reader.id(), chat, seq).await.expect("an answer")
}

async fn each_member_has_their_own_mark(context: Arc<Context>) {
    let (store, pair) = (&*context.store, pair_with(&*context.store, 5).await);
    assert_eq!(mark(store, &pair.bob, pair.chat, 3).await, Marking::Read { read_seq: 3, last_seq: 5 });
    assert_eq!((marks(store, &pair.ann).await, marks(store, &pair.bob).await), ((5, 3), (3, 5)));
    let elsewhere = Person::create(store).await;
    let other_chat = ChatId::between(pair.bob.id(), elsewhere.id()).expect("two people");
    send(store, &message(other_chat, elsewhere.id(), "unread", None)).await;
    assert_eq!(mark(store, &pair.bob, pair.chat, 5).await, Marking::Read { read_seq: 5, last_seq: 5 });
    assert_eq!(marks(store, &elsewhere).await, (1, 0), "a mark is one chat's");
}

async fn a_message_marks_what_its_sender_has_read(context: Arc<Context>) {
    let (store, pair) = (&*context.store, pair_with(&*context.store, 2).await);
    send(store, &pair.message(&pair.bob, "an answer")).await;
    assert_eq!(marks(store, &pair.ann).await, (2, 3));
    let keyed = message(pair.chat, pair.ann.id(), "once", Some("key"));
    send(store, &keyed).await;
    send(store, &pair.message(&pair.bob, "another answer")).await;
    let _replayed = store.append_message(&keyed, None).await.expect("an answer");
    assert_eq!(marks(store, &pair.ann).await, (4, 5), "a repetition marks nothing that was not read");
}

async fn a_mark_never_moves_back(context: Arc<Context>) {
    let (store, pair) = (&*context.store, pair_with(&*context.store, 5).await);
    for (seq, read_seq) in [(2, 2), (4, 4), (3, 4), (1, 4), (4, 4), (5, 5)] {
        assert_eq!(mark(&*context.other, &pair.bob, pair.chat, seq).await, Marking::Read { read_seq, last_seq: 5 }, "{seq}");
        assert_eq!(marks(store, &pair.bob).await, (read_seq, 5));
    }
    assert_eq!(mark(store, &pair.ann, pair.chat, 1).await, Marking::Read { read_seq: 5, last_seq: 5 }, "what is sent is read");
}

async fn a_mark_beyond_the_last_message_changes_nothing(context: Arc<Context>) {
    let (store, pair) = (&*context.store, pair_with(&*context.store, 2).await);
    assert_eq!(mark(store, &pair.bob, pair.chat, 1).await, Marking::Read { read_seq: 1, last_seq: 2 });
    for seq in [3, 1_000, u64::MAX] {
        assert_eq!(mark(store, &pair.bob, pair.chat, seq).await, Marking::BeyondLast, "{seq}");
        assert_eq!(marks(store, &pair.bob).await, (1, 2));
    }
    send(store, &pair.message(&pair.ann, "the third")).await;
    assert_eq!(mark(store, &pair.bob, pair.chat, 3).await, Marking::Read { read_seq: 3, last_seq: 3 });
}

async fn nobody_marks_a_chat_that_is_not_theirs(context: Arc<Context>) {
    let (store, pair, eve) = (&*context.store, pair_with(&*context.store, 2).await, Person::create(&*context.store).await);
    for seq in [1, 2, 3] {
        assert_eq!(mark(store, &eve, pair.chat, seq).await, Marking::NoChat);
    }
    assert!(list(store, &eve).await.is_empty());
    assert_eq!((marks(store, &pair.ann).await, marks(store, &pair.bob).await), ((2, 0), (0, 2)));
}

async fn a_mark_before_the_first_message_changes_nothing(context: Arc<Context>) {
    let (store, pair) = (&*context.store, Pair::create(&*context.store).await);
    for member in [&pair.ann, &pair.bob] {
        assert_eq!(mark(store, member, pair.chat, 1).await, Marking::NoChat);
        assert!(list(store, member).await.is_empty());
    }
    assert_eq!(send(store, &pair.message(&pair.ann, "the first")).await.seq, 1);
    assert_eq!(marks(store, &pair.bob).await, (0, 1));
}

async fn of_50_marks_at_once_the_highest_wins(context: Arc<Context>) {
    for _ in 0..5 {
        let pair = pair_with(&*context.store, 50).await;
        let (bob, chat) = (pair.bob.id(), pair.chat);
        let answers = at_once(&context, 50, |store, index| async move {
            // 37 is prime to 50: each number once, in no order.
            let seq = index as u64 * 37 % 50 + 1;
            (seq, patiently(|| store.mark_read(bob, chat, seq)).await)
        })
        .await;
        for (seq, answer) in answers {
            let Marking::Read { read_seq, last_seq: 50 } = answer else { panic!("{answer:?}") };
            assert!((seq..=50).contains(&read_seq), "marked up to {seq}, told {read_seq}");
        }
        assert_eq!((marks(&*context.store, &pair.bob).await, marks(&*context.other, &pair.ann).await), ((50, 50), (50, 50)));
    }
}

async fn an_acknowledged_message_can_be_marked_at_once(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    let (ann, bob, chat) = (pair.ann.id(), pair.bob.id(), pair.chat);
    let instances = [Arc::clone(&context.store), Arc::clone(&context.other)];
    at_once(&context, 50, |store, index| {
        let elsewhere = Arc::clone(&instances[(index + 1) % 2]);
        async move {
            let new = message(chat, ann, "hello", None);
            let seq = stored(patiently(|| store.append_message(&new, None)).await).seq;
            let answer = patiently(|| elsewhere.mark_read(bob, chat, seq)).await;
            let Marking::Read { read_seq, last_seq } = answer else { panic!("{answer:?} for message {seq}") };
            assert!((seq..=last_seq).contains(&read_seq), "marked up to {seq} of {last_seq}, told {read_seq}");
        }
    })
    .await;
    assert_eq!(marks(&*context.store, &pair.bob).await, (50, 50));
    assert_eq!(only(&*context.store, &pair.bob).await.last_message.seq, 50);
}

async fn a_second_instance_sees_every_acknowledged_mark(context: Arc<Context>) {
    let pair = pair_with(&*context.store, 20).await;
    for seq in 1..=20 {
        let (writer, reader) = if seq % 2 == 0 { (&context.store, &context.other) } else { (&context.other, &context.store) };
        assert_eq!(mark(&**writer, &pair.bob, pair.chat, seq).await, Marking::Read { read_seq: seq, last_seq: 20 });
        assert_eq!((marks(&**reader, &pair.bob).await, marks(&**reader, &pair.ann).await), ((seq, 20), (20, seq)));
    }
}
