//! Races: many at once, through two instances where the backend has them. Whatever the order, the rules hold.

use std::collections::{BTreeSet, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chat_functions::domain::{MailKind, Session, UserId};
use chat_functions::store::{
    Append, BlockAddition, Creation, FriendAddition, MAX_BLOCKS, MAX_FRIENDS, MailId, ProfileChange, ProfileUpdate, Quota, Store,
    StoreError, Window,
};

use crate::people::{NOW, Pair, Person, hash, message, new_account, new_mail, new_session, stored, to_email};
use crate::throttles::new_key;
use crate::{Context, tests};

const AT_ONCE: usize = 50;

tests!(Context:
    of_50_identical_registrations_one_succeeds,
    of_two_people_who_change_to_one_address_one_gets_it,
    of_40_logins_20_sessions_are_left,
    of_20_notes_of_use_one_is_written,
    of_50_friends_at_the_cap_one_is_added,
    of_50_blocks_at_the_cap_one_is_added,
    nobody_is_blocked_and_a_friend_at_once,
    what_comes_and_goes_at_once_is_not_refused_for_another_reason,
    of_100_events_at_once_no_more_than_the_quota_are_counted,
    of_30_takers_each_gets_another_mail,
    one_friend_added_50_times_is_one_friend,
    of_50_messages_into_a_new_chat_each_has_its_number,
    one_client_id_50_times_is_one_message,
    a_reader_beside_8_writers_sees_each_message_once,
);

/// Starts all at once on the instances by turns and gives their answers.
pub async fn at_once<T, F>(context: &Context, count: usize, task: impl Fn(Arc<dyn Store>, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(tokio::sync::Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let store = if index % 2 == 0 { &context.store } else { &context.other };
            let (start, task) = (Arc::clone(&start), task(Arc::clone(store), index));
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("no panic"));
    }
    answers
}

/// The answer of a store that may have too much to do at first, in which case it has changed nothing.
pub async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(call: impl Fn() -> F) -> T {
    for _ in 0..1_000 {
        match call().await {
            Err(StoreError::Overloaded) => tokio::time::sleep(Duration::from_millis(20)).await,
            answer => return answer.expect("an answer"),
        }
    }
    panic!("the store has too much to do for 20 seconds")
}

pub fn count<T: PartialEq>(answers: &[T], wanted: &T) -> usize {
    answers.iter().filter(|answer| *answer == wanted).count()
}

async fn of_50_identical_registrations_one_succeeds(context: Arc<Context>) {
    let account = new_account();
    let answers = at_once(&context, AT_ONCE, |store, _| {
        let mut account = account.clone();
        account.user.id = UserId::generate();
        async move { patiently(|| store.create_account(&account)).await }
    })
    .await;
    assert_eq!(count(&answers, &Creation::Created), 1);
    assert_eq!(count(&answers, &Creation::UsernameTaken), AT_ONCE - 1);
}

async fn of_two_people_who_change_to_one_address_one_gets_it(context: Arc<Context>) {
    for _ in 0..10 {
        let pair = Pair::create(&*context.store).await;
        let keys = [pair.ann.key(), pair.bob.key()];
        let change = ProfileChange { email: Some(to_email(&new_account().user.email)), ..ProfileChange::default() };
        let answers = at_once(&context, 2, |store, index| {
            let change = change.clone();
            async move { store.update_profile(&keys[index], &change, NOW).await.expect("an answer") }
        })
        .await;
        assert_eq!(count(&answers, &ProfileUpdate::EmailTaken), 1, "{answers:?}");
    }
}

async fn of_40_logins_20_sessions_are_left(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let id = person.id();
    let sessions = at_once(&context, 40, |store, index| async move {
        let session = new_session(NOW.plus_millis(i64::try_from(index).expect("few") + 1));
        let checked = hash();
        patiently(|| store.start_session(id, &checked, None, &session)).await.expect("a person");
        session
    })
    .await;
    let mut left = 0;
    for session in sessions.iter().chain([&person.account.session]) {
        left += usize::from(context.store.find_session(&person.key_of(session)).await.expect("an answer").is_some());
    }
    assert_eq!(left, Session::MAX_PER_USER);
}

async fn of_20_notes_of_use_one_is_written(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let key = person.key();
    at_once(&context, 20, |store, index| async move {
        let at = NOW.plus_millis(60_000 + i64::try_from(index).expect("few"));
        patiently(|| store.touch_session(&key, at)).await;
    })
    .await;
    let first = context.store.find_session(&key).await.expect("an answer").expect("a session").session.last_used_at;
    context.store.touch_session(&key, first.plus_millis(Session::TOUCH_AFTER_MILLIS - 1)).await.expect("touched");
    let second = context.store.find_session(&key).await.expect("an answer").expect("a session").session.last_used_at;
    assert!(first >= NOW.plus_millis(60_000) && first == second);
}

async fn of_50_friends_at_the_cap_one_is_added(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let id = person.id();
    let add = move |store: Arc<dyn Store>| async move {
        let friend = UserId::generate();
        patiently(|| store.add_friend(id, friend, NOW)).await
    };
    for _ in 0..111 {
        let filled = at_once(&context, (MAX_FRIENDS - 1) / 111, |store, _| add(store)).await;
        assert_eq!(count(&filled, &FriendAddition::Added), filled.len());
    }
    assert_eq!(person.profile(&*context.store).await.friends.len(), MAX_FRIENDS - 1);
    let answers = at_once(&context, AT_ONCE, |store, _| add(store)).await;
    assert_eq!(count(&answers, &FriendAddition::Added), 1);
    assert_eq!(count(&answers, &FriendAddition::LimitReached), AT_ONCE - 1);
    assert_eq!(person.profile(&*context.store).await.friends.len(), MAX_FRIENDS);
}

async fn of_50_blocks_at_the_cap_one_is_added(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let id = person.id();
    let block = move |store: Arc<dyn Store>| async move {
        let other = UserId::generate();
        patiently(|| store.block(id, other, NOW)).await
    };
    for _ in 0..111 {
        let filled = at_once(&context, (MAX_BLOCKS - 1) / 111, |store, _| block(store)).await;
        assert_eq!(count(&filled, &BlockAddition::Blocked), filled.len());
    }
    assert_eq!(person.data(&*context.store).await.blocks.len(), MAX_BLOCKS - 1);
    let answers = at_once(&context, AT_ONCE, |store, _| block(store)).await;
    assert_eq!(count(&answers, &BlockAddition::Blocked), 1);
    assert_eq!(count(&answers, &BlockAddition::LimitReached), AT_ONCE - 1);
    let blocks = person.data(&*context.store).await.blocks;
    assert_eq!(blocks.len(), MAX_BLOCKS);
    let again = context.store.block(id, blocks[0], NOW).await.expect("an answer");
    assert_eq!(again, BlockAddition::Blocked, "who is blocked already needs no place");
    let friend = UserId::generate();
    assert_eq!(context.store.add_friend(id, friend, NOW).await.expect("an answer"), FriendAddition::Added);
    assert_eq!(context.store.block(id, friend, NOW).await.expect("an answer"), BlockAddition::LimitReached);
    assert_eq!(person.profile(&*context.store).await.friends, [friend], "a refused block ends no friendship");
}

async fn nobody_is_blocked_and_a_friend_at_once(context: Arc<Context>) {
    for _ in 0..20 {
        let pair = Pair::create(&*context.store).await;
        let (ann, bob) = (pair.ann.id(), pair.bob.id());
        let added = at_once(&context, 8, |store, index| async move {
            if index == 3 {
                assert_eq!(patiently(|| store.block(ann, bob, NOW)).await, BlockAddition::Blocked);
                return true;
            }
            patiently(|| store.add_friend(ann, bob, NOW)).await != FriendAddition::Blocked
        })
        .await;
        assert!(pair.ann.profile(&*context.store).await.friends.is_empty(), "{added:?}");
        assert_eq!(pair.ann.data(&*context.store).await.blocks, [bob]);
    }
}

/// Additions and removals of one friend, of one block, and of one user name: none is refused for a full list or an address.
async fn what_comes_and_goes_at_once_is_not_refused_for_another_reason(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    let (ann, bob) = (pair.ann.id(), pair.bob.id());
    let added = at_once(&context, 60, |store, index| async move {
        if index % 4 < 2 {
            return Some(patiently(|| store.add_friend(ann, bob, NOW)).await);
        }
        patiently(|| store.remove_friend(ann, bob)).await;
        None
    })
    .await;
    assert!(added.iter().flatten().all(|added| [FriendAddition::Added, FriendAddition::AlreadyFriend].contains(added)), "{added:?}");
    let blocked = at_once(&context, 60, |store, index| async move {
        if index % 4 < 2 {
            return Some(patiently(|| store.block(ann, bob, NOW)).await);
        }
        patiently(|| store.unblock(ann, bob)).await;
        None
    })
    .await;
    assert!(blocked.iter().flatten().all(|blocked| *blocked == BlockAddition::Blocked), "{blocked:?}");
    let names = [new_account().user.username, new_account().user.username];
    let renamed = at_once(&context, 40, |store, index| {
        let change = ProfileChange {
            username: Some(names[index / 2 % 2].clone()),
            email: (index % 4 < 2).then(|| to_email(&new_account().user.email)),
            ..ProfileChange::default()
        };
        let key = if index % 4 < 2 { pair.ann.key() } else { pair.bob.key() };
        async move { patiently(|| store.update_profile(&key, &change, NOW)).await }
    })
    .await;
    assert_eq!(count(&renamed, &ProfileUpdate::EmailTaken), 0, "{renamed:?}");
}

async fn of_100_events_at_once_no_more_than_the_quota_are_counted(context: Arc<Context>) {
    for round in 0..5 {
        let (key, quota) = (new_key(), Quota { count: 5, window_millis: 900_000 });
        let takings = at_once(&context, 100, |store, index| async move {
            let at = NOW.plus_millis(i64::try_from(index).expect("few"));
            patiently(|| store.take(&key, quota, at)).await
        })
        .await;
        let tickets: Vec<_> = takings.iter().filter_map(|taking| taking.outcome.ok()).collect();
        assert_eq!(tickets.len(), 5, "round {round}");
        assert_eq!(tickets.iter().map(|ticket| ticket.id).collect::<BTreeSet<_>>().len(), 5, "each is an event of its own");
        context.store.give_back(&tickets[0], None).await.expect("taken back");
        let again = at_once(&context, 20, |store, _| async move { patiently(|| store.take(&key, quota, NOW)).await }).await;
        assert_eq!(again.iter().filter(|taking| taking.outcome.is_ok()).count(), 1, "one place has become free");
    }
}

async fn of_30_takers_each_gets_another_mail(context: Arc<Context>) {
    let alone = context.alone().await;
    for number in 0..20 {
        let person = Person::create(&*alone.store).await;
        let mail = new_mail(MailKind::PasswordReset, person.email(), NOW.plus_millis(number % 3));
        alone.store.order_mail(person.id(), &mail).await.expect("ordered");
    }
    let (at, until) = (NOW.plus_millis(10), NOW.plus_millis(60_000));
    let taken = at_once(&alone, 30, |store, _| async move { patiently(|| store.take_due_mail(at, until)).await }).await;
    let ids: HashSet<MailId> = taken.iter().flatten().map(|mail| mail.id).collect();
    assert_eq!((ids.len(), taken.iter().flatten().count()), (20, 20));
    alone.tear_down().await;
}

async fn one_friend_added_50_times_is_one_friend(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let (id, friend) = (person.id(), UserId::generate());
    let answers = at_once(&context, AT_ONCE, |store, _| async move { patiently(|| store.add_friend(id, friend, NOW)).await }).await;
    assert_eq!(count(&answers, &FriendAddition::Added), 1);
    assert_eq!(count(&answers, &FriendAddition::AlreadyFriend), AT_ONCE - 1);
    assert_eq!(person.profile(&*context.store).await.friends, [friend]);
}

async fn of_50_messages_into_a_new_chat_each_has_its_number(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    let chat = pair.chat;
    let senders = [pair.ann.id(), pair.bob.id()];
    let sent = at_once(&context, AT_ONCE, |store, index| async move {
        let text = format!("number {index}");
        let new = message(chat, senders[index / 25], &text, None);
        let message = stored(patiently(|| store.append_message(&new, None)).await);
        let listed = patiently(|| store.list_chat_messages(chat, Window::After(message.seq - 1), 1)).await;
        assert_eq!(listed, std::slice::from_ref(&message), "visible as soon as it is acknowledged");
        message
    })
    .await;
    let numbers: BTreeSet<u64> = sent.iter().map(|message| message.seq).collect();
    assert_eq!(numbers, (1..=AT_ONCE as u64).collect());
    let head = context.store.find_chat_head(chat).await.expect("an answer").expect("a head");
    assert_eq!(head.last_seq, AT_ONCE as u64);
}

async fn one_client_id_50_times_is_one_message(context: Arc<Context>) {
    let pair = Pair::create(&*context.store).await;
    let keyed = message(pair.chat, pair.ann.id(), "once", Some("only-once"));
    let answers = at_once(&context, AT_ONCE, |store, _| {
        let keyed = keyed.clone();
        async move { patiently(|| store.append_message(&keyed, None)).await }
    })
    .await;
    let is_first = |answer: &&Append| matches!(answer, Append::Stored(message) if message.seq == 1);
    let is_repeat = |answer: &&Append| matches!(answer, Append::Replayed(message) if message.seq == 1);
    assert_eq!((answers.iter().filter(is_first).count(), answers.iter().filter(is_repeat).count()), (1, AT_ONCE - 1));
    assert_eq!(context.store.list_chat_messages(pair.chat, Window::Newest, 10).await.expect("a page").len(), 1);
}

async fn a_reader_beside_8_writers_sees_each_message_once(context: Arc<Context>) {
    const WRITERS: usize = 8;
    const EACH: usize = 20;
    let pair = Pair::create(&*context.store).await;
    let (chat, sender) = (pair.chat, pair.ann.id());
    let reader = tokio::spawn({
        let store = Arc::clone(&context.other);
        async move {
            let mut seen = Vec::new();
            while seen.len() < WRITERS * EACH {
                let after = seen.last().copied().unwrap_or(0);
                let page = patiently(|| store.list_chat_messages(chat, Window::After(after), 7)).await;
                seen.extend(page.iter().map(|message| message.seq));
            }
            seen
        }
    });
    at_once(&context, WRITERS, |store, writer| async move {
        for number in 0..EACH {
            let head = patiently(|| store.find_chat_head(chat)).await;
            let text = format!("{writer}/{number}");
            let new = message(chat, sender, &text, None);
            stored(patiently(|| store.append_message(&new, head)).await);
        }
    })
    .await;
    assert_eq!(reader.await.expect("no panic"), (1..=(WRITERS * EACH) as u64).collect::<Vec<_>>());
}
