//! What was stored while a clock was ahead decides nothing once it is right again.

use std::sync::Arc;

use chat_functions::domain::{MailKind, MailPurpose, RECOVERY_GRACE_MILLIS, RECOVERY_MILLIS, Session, Timestamp};
use chat_functions::store::{Creation, Link, MAX_WAIT_MILLIS, Quota};

use crate::addresses::{moved, put_way_back};
use crate::mail::{take, take_all};
use crate::people::{NOW, Pair, Person, hash, is_good, may_put, new_account, new_mail, new_token, send};
use crate::throttles::new_key;
use crate::{Context, tests};

tests!(Context:
    only_the_message_of_a_clock_ahead_is_dated_ahead,
    mail_waits_for_no_clock_that_was_ahead,
    no_event_counts_for_longer_than_its_window,
    a_use_ahead_is_none_and_the_next_one_counts,
    a_session_used_ahead_is_the_first_to_make_room,
    a_session_used_ahead_ends_within_30_days_of_its_next_use,
    a_way_back_outlasts_a_clock_that_is_ahead_for_a_while,
    a_link_that_a_clock_ahead_put_out_is_over,
);

const DAY: i64 = Timestamp::DAY_MILLIS;
/// How far ahead clocks were, and whether that is further than clocks differ.
const AHEAD: [(i64, bool); 3] = [(10_000, false), (3_600_000, true), (300 * DAY, true)];

async fn only_the_message_of_a_clock_ahead_is_dated_ahead(context: Arc<Context>) {
    for (ahead, is_wrong) in AHEAD {
        let (store, pair) = (&*context.store, Pair::create(&*context.store).await);
        let sent_at = async |millis| {
            let mut next = pair.message(&pair.ann, "hello");
            next.sent_at = NOW.plus_millis(millis);
            send(store, &next).await.sent_at
        };
        assert_eq!(sent_at(ahead).await, NOW.plus_millis(ahead));
        for later in [1, 2] {
            assert_eq!(sent_at(later).await, NOW.plus_millis(if is_wrong { later } else { ahead }), "{ahead} ms ahead");
        }
        let listed = context.other.list_conversations(pair.bob.id(), None, 10, NOW).await.expect("a page");
        assert_eq!(listed[0].last_message.seq, 3);
        assert_eq!(listed[0].last_message.sent_at, NOW.plus_millis(if is_wrong { 2 } else { ahead }), "the chat does not stay on top");
    }
}

async fn mail_waits_for_no_clock_that_was_ahead(context: Arc<Context>) {
    for (ahead, _) in AHEAD {
        let alone = context.alone().await;
        let (store, person) = (&*alone.store, Person::create(&*alone.store).await);
        let order = |at| new_mail(MailKind::PasswordReset, person.email(), at);
        // Ordered ahead, then taken and put off ahead.
        store.order_mail(person.id(), &order(NOW.plus_millis(ahead))).await.expect("ordered");
        // What a right clock may have put off waits for its time.
        let due = |until| if until > MAX_WAIT_MILLIS { NOW } else { NOW.plus_millis(until) };
        assert!(take(store, due(ahead)).await.is_some(), "{ahead} ms ahead");
        store.order_mail(person.id(), &order(NOW)).await.expect("ordered");
        let mail = take(store, NOW.plus_millis(ahead)).await.expect("a mail");
        let later = ahead + 1_000_000;
        store.postpone_mail(&mail, NOW.plus_millis(later), Link::Stays).await.expect("postponed");
        assert!(take(store, due(later)).await.is_some(), "{ahead} ms ahead");
        alone.tear_down().await;
    }
}

async fn no_event_counts_for_longer_than_its_window(context: Arc<Context>) {
    let quota = Quota { count: 2, window_millis: 15 * 60_000 };
    for (ahead, is_wrong) in AHEAD {
        let key = new_key();
        let take = async |millis| context.store.take(&key, quota, NOW.plus_millis(millis)).await.expect("an answer").outcome;
        for _ in 0..quota.count {
            take(ahead).await.expect("room");
        }
        let wait = take(0).await.expect_err("no room");
        let longest = quota.window_millis + if is_wrong { 0 } else { ahead };
        // A store whose server has a clock of its own measures by that one.
        assert!((longest - 5_000..=longest).contains(&wait), "{ahead} ms ahead: {wait}");
        assert!(take(wait - 5_000).await.is_err(), "the event still counts, as of then");
        take(wait + 5_000).await.expect("room after the wait");
    }
}

async fn a_use_ahead_is_none_and_the_next_one_counts(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    bob.add(store, &ann).await;
    let last_active = async || store.find_people(ann.id(), &[bob.id()], NOW).await.expect("an answer")[0].last_active;
    for (ahead, is_wrong) in AHEAD.into_iter().filter(|(ahead, _)| *ahead > Session::TOUCH_AFTER_MILLIS) {
        let at = NOW.plus_millis(ahead);
        store.touch_session(&bob.key(), at).await.expect("touched");
        assert_eq!(last_active().await.is_none(), is_wrong);
        store.touch_session(&bob.key(), NOW).await.expect("touched");
        assert_eq!(last_active().await, Some(NOW));
        assert_eq!(bob.data(store).await.last_seen, Some(NOW));
    }
    store.touch_session(&bob.key(), NOW.plus_millis(300 * DAY)).await.expect("touched");
    assert!(store.end_session(&bob.key(), NOW).await.expect("an answer"));
    bob.log_in(store, NOW).await;
    assert_eq!(last_active().await, Some(NOW));
}

async fn a_session_used_ahead_is_the_first_to_make_room(context: Arc<Context>) {
    let (store, person) = (&*context.store, Person::create(&*context.store).await);
    let mut others = Vec::new();
    for millis in 1..20 {
        others.push(person.log_in(store, NOW.plus_millis(millis)).await);
    }
    store.touch_session(&person.key_of(&others[7]), NOW.plus_millis(300 * DAY)).await.expect("touched");
    let newest = person.log_in(store, NOW.plus_millis(30)).await;
    let exists = async |session: &Session| store.find_session(&person.key_of(session)).await.expect("an answer").is_some();
    assert!(!exists(&others[7]).await && exists(&newest).await && exists(&person.account.session).await);
}

async fn a_session_used_ahead_ends_within_30_days_of_its_next_use(context: Arc<Context>) {
    let (store, person) = (&*context.store, Person::create(&*context.store).await);
    let ahead = person.log_in(store, NOW.plus_millis(300 * DAY)).await;
    let stored = async || store.find_session(&person.key_of(&ahead)).await.expect("an answer").expect("a session").session;
    assert_eq!(stored().await.expires_at, NOW.plus_millis(330 * DAY));
    store.touch_session(&person.key_of(&ahead), NOW).await.expect("touched");
    assert_eq!((stored().await.last_used_at, stored().await.expires_at), (NOW, NOW.plus_millis(30 * DAY)));
    let other = person.log_in(store, NOW.plus_millis(200 * DAY)).await;
    person.log_in(store, NOW).await;
    let restamped = store.find_session(&person.key_of(&other)).await.expect("an answer").expect("a session").session;
    assert!(restamped.last_used_at < NOW && restamped.created_at < NOW, "{restamped:?}");
    assert_eq!(restamped.expires_at, NOW.plus_millis(30 * DAY));
}

/// Whatever a store forgets by itself it forgets on such occasions.
async fn a_way_back_outlasts_a_clock_that_is_ahead_for_a_while(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (person, addresses) = moved(store, 1).await;
    let ahead = NOW.plus_millis(RECOVERY_MILLIS + RECOVERY_GRACE_MILLIS - 1);
    take_all(store, ahead).await;
    let mut account = new_account();
    account.user.created_at = ahead;
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created);
    assert_eq!(person.data(store).await.recovery, addresses[..1]);
    put_way_back(store, &person, &addresses[0]).await;
    alone.tear_down().await;
}

async fn a_link_that_a_clock_ahead_put_out_is_over(context: Arc<Context>) {
    let store = &*context.store;
    for purpose in [MailPurpose::Verification, MailPurpose::PasswordReset] {
        for (ahead, is_wrong) in AHEAD {
            let person = Person::create(store).await;
            let mut link = new_token(purpose, person.email());
            link.expires_at = link.expires_at.plus_millis(ahead);
            assert!(may_put(store, person.id(), &link).await);
            assert_eq!(is_good(store, &link).await, !is_wrong, "{purpose:?} {ahead} ms ahead");
            let used = match purpose {
                MailPurpose::PasswordReset => store.reset_password(&link.hash, &hash(), NOW, false).await,
                _ => store.verify_email(&link.hash, NOW).await,
            };
            assert_eq!(used.expect("an answer").is_some(), !is_wrong);
        }
    }
}
