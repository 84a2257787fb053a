//! Shared counters.

use std::sync::Arc;

use chat_functions::domain::{Timestamp, UserId};
use chat_functions::store::{Quota, Store, Taking, ThrottleKey, Ticket};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::people::NOW;
use crate::{Context, tests};

tests!(Context:
    what_is_beyond_the_quota_is_not_counted_until_the_window_has_moved_on,
    keys_are_counted_apart,
    what_is_not_counted_changes_nothing,
    an_event_taken_back_makes_room_and_taking_it_back_twice_makes_no_more,
    an_event_taken_back_when_it_has_long_expired_does_nothing,
    a_trusted_key_is_told_until_its_time_which_only_grows,
    trust_is_told_of_what_is_not_counted_too,
    a_cleared_counter_is_empty_and_its_key_trusted,
    a_lowered_quota_holds_at_once,
    a_quota_of_the_most_that_is_counted_is_exact,
    the_other_instance_counts_the_same_events,
    no_window_holds_more_than_the_quota_and_waiting_as_told_succeeds,
);

const QUOTA: Quota = Quota { count: 3, window_millis: 60_000 };

/// A counter that nothing has been counted by.
pub fn new_key() -> ThrottleKey {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&UserId::generate().to_bytes());
    ThrottleKey(key)
}

fn after(millis: i64) -> Timestamp {
    NOW.plus_millis(millis)
}

async fn take(store: &dyn Store, key: &ThrottleKey, quota: Quota, millis: i64) -> Taking {
    store.take(key, quota, after(millis)).await.expect("an answer")
}

/// Counts an event that there is room for.
async fn counted(store: &dyn Store, key: &ThrottleKey, millis: i64) -> Ticket {
    take(store, key, QUOTA, millis).await.outcome.expect("room")
}

/// How long an event has to wait that there is no room for. A store whose server has a clock of its own measures by
/// that one, which may have moved on by a little between two events.
async fn wait(store: &dyn Store, key: &ThrottleKey, millis: i64) -> i64 {
    take(store, key, QUOTA, millis).await.outcome.expect_err("no room")
}

async fn what_is_beyond_the_quota_is_not_counted_until_the_window_has_moved_on(context: Arc<Context>) {
    let (store, key) = (&*context.store, new_key());
    for millis in [0, 10_000, 20_000] {
        let ticket = counted(store, &key, millis).await;
        assert_eq!(ticket.key, key);
    }
    assert_eq!(wait(store, &key, 30_000).await, 30_000);
    assert_eq!(wait(store, &key, 59_999).await, 1);
    counted(store, &key, 60_000).await;
    assert_eq!(wait(store, &key, 60_000).await, 10_000, "until the second event is out");
    counted(store, &key, 70_000).await;
}

async fn keys_are_counted_apart(context: Arc<Context>) {
    let (store, key, other) = (&*context.store, new_key(), new_key());
    for _ in 0..3 {
        counted(store, &key, 0).await;
    }
    wait(store, &key, 0).await;
    counted(store, &other, 0).await;
}

async fn what_is_not_counted_changes_nothing(context: Arc<Context>) {
    let (store, key) = (&*context.store, new_key());
    for _ in 0..3 {
        counted(store, &key, 0).await;
    }
    for millis in 1..20 {
        wait(store, &key, millis * 3_000).await;
    }
    for _ in 0..3 {
        counted(store, &key, 60_000).await;
    }
}

async fn an_event_taken_back_makes_room_and_taking_it_back_twice_makes_no_more(context: Arc<Context>) {
    let (store, key) = (&*context.store, new_key());
    let (first, second) = (counted(store, &key, 0).await, counted(store, &key, 1).await);
    counted(store, &key, 2).await;
    for _ in 0..2 {
        store.give_back(&first, None).await.expect("taken back");
    }
    counted(store, &key, 3).await;
    store.give_back(&first, None).await.expect("nothing to do");
    assert_eq!(wait(store, &key, 4).await, 59_997, "the second event is the oldest");
    let of_another_key = Ticket { key: new_key(), id: second.id };
    store.give_back(&of_another_key, None).await.expect("nothing to do");
    wait(store, &key, 4).await;
}

async fn an_event_taken_back_when_it_has_long_expired_does_nothing(context: Arc<Context>) {
    // What has expired so much later may be tidied away, and others still count it.
    let alone = context.alone().await;
    let (store, key) = (&*alone.store, new_key());
    let old = counted(store, &key, 0).await;
    let later = 100 * Timestamp::DAY_MILLIS;
    for _ in 0..3 {
        counted(store, &key, later).await;
    }
    store.give_back(&old, None).await.expect("nothing to do");
    wait(store, &key, later).await;
    alone.tear_down().await;
}

async fn a_trusted_key_is_told_until_its_time_which_only_grows(context: Arc<Context>) {
    let (store, key) = (&*context.store, new_key());
    let quota = Quota { count: 100, ..QUOTA };
    let is_trusted = async |millis| take(store, &key, quota, millis).await.is_trusted;
    let first = take(store, &key, quota, 0).await;
    assert!(!first.is_trusted);
    let ticket = first.outcome.expect("room");
    store.give_back(&ticket, Some(after(500_000))).await.expect("taken back");
    assert!(is_trusted(1).await && is_trusted(499_999).await);
    assert!(!is_trusted(500_000).await);
    store.give_back(&ticket, Some(after(400_000))).await.expect("nothing to take back");
    assert!(is_trusted(499_999).await, "an earlier end shortens nothing");
    store.give_back(&ticket, Some(after(600_000))).await.expect("nothing to take back");
    assert!(is_trusted(599_999).await, "a later one counts though the event is gone");
    assert!(!is_trusted(600_000).await);
    assert!(!take(store, &new_key(), quota, 1).await.is_trusted, "another key is not");
}

async fn trust_is_told_of_what_is_not_counted_too(context: Arc<Context>) {
    let (store, key) = (&*context.store, new_key());
    let ticket = counted(store, &key, 0).await;
    store.give_back(&ticket, Some(after(500_000))).await.expect("taken back");
    for _ in 0..3 {
        counted(store, &key, 0).await;
    }
    let refused = take(store, &key, QUOTA, 0).await;
    assert!(refused.outcome.is_err() && refused.is_trusted);
}

async fn a_cleared_counter_is_empty_and_its_key_trusted(context: Arc<Context>) {
    let (store, key, other) = (&*context.store, new_key(), new_key());
    for key in [&key, &other] {
        for millis in 0..3 {
            counted(store, key, millis).await;
        }
    }
    for _ in 0..2 {
        store.clear(&key, after(1_000_000)).await.expect("cleared");
    }
    let cleared = take(store, &key, QUOTA, 3).await;
    assert!(cleared.outcome.is_ok() && cleared.is_trusted, "{cleared:?}");
    assert!(take(store, &other, QUOTA, 3).await.outcome.is_err(), "no other counter is touched");
    let never_counted = new_key();
    store.clear(&never_counted, after(1_000_000)).await.expect("cleared");
    assert!(take(store, &never_counted, QUOTA, 3).await.is_trusted);
}

async fn a_lowered_quota_holds_at_once(context: Arc<Context>) {
    let (store, key) = (&*context.store, new_key());
    for millis in [0, 10_000, 20_000] {
        counted(store, &key, millis).await;
    }
    let lowered = Quota { count: 1, ..QUOTA };
    assert_eq!(take(store, &key, lowered, 30_000).await.outcome, Err(50_000), "until the newest is out");
    assert!(take(store, &key, lowered, 80_000).await.outcome.is_ok());
}

async fn a_quota_of_the_most_that_is_counted_is_exact(context: Arc<Context>) {
    let (store, key) = (&*context.store, new_key());
    let quota = Quota { count: Quota::MAX_COUNT, window_millis: 60_000 };
    for number in 0..i64::from(quota.count) {
        assert!(take(store, &key, quota, number).await.outcome.is_ok(), "{number}");
    }
    assert_eq!(take(store, &key, quota, 1_000).await.outcome, Err(59_000));
    assert!(take(store, &key, quota, 60_000).await.outcome.is_ok());
    assert_eq!(take(store, &key, quota, 60_000).await.outcome, Err(1));
}

async fn the_other_instance_counts_the_same_events(context: Arc<Context>) {
    let key = new_key();
    let ticket = counted(&*context.store, &key, 0).await;
    counted(&*context.other, &key, 0).await;
    counted(&*context.store, &key, 0).await;
    wait(&*context.other, &key, 1_000).await;
    context.other.give_back(&ticket, None).await.expect("taken back");
    counted(&*context.other, &key, 1_000).await;
}

/// What a caller does next, this long after the last time.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    Take(i64),
    TakeAndGiveBack(i64),
    WaitAsTold,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let arrival = prop_oneof![
        6 => (0_i64..400).prop_map(Arrival::Take),
        2 => (0_i64..400).prop_map(Arrival::TakeAndGiveBack),
        1 => Just(Arrival::WaitAsTold),
    ];
    proptest::collection::vec(arrival, 60)
}

async fn no_window_holds_more_than_the_quota_and_waiting_as_told_succeeds(context: Arc<Context>) {
    let (handle, store) = (tokio::runtime::Handle::current(), Arc::clone(&context.store));
    let walks = move || {
        let mut runner = TestRunner::new(Config { cases: 10, failure_persistence: None, ..Config::default() });
        runner.run(&(1_u32..6, arrivals()), |(count, arrivals)| {
            let quota = Quota { count, window_millis: 1_000 };
            let counted = handle.block_on(walk(&*store, quota, &arrivals));
            for end in &counted {
                let within = counted.iter().filter(|event| (end - quota.window_millis + 1..=*end).contains(*event)).count();
                prop_assert!(within <= count as usize, "{within} events up to {end} of {counted:?}");
            }
            Ok(())
        })
    };
    tokio::task::spawn_blocking(walks).await.expect("no panic").expect("the property holds");
}

/// Lets events arrive at a counter of their own and gives the times of those that were counted and stayed so.
async fn walk(store: &dyn Store, quota: Quota, arrivals: &[Arrival]) -> Vec<i64> {
    let (key, mut now, mut counted) = (new_key(), 0, Vec::new());
    for arrival in arrivals {
        now += match arrival {
            Arrival::Take(step) | Arrival::TakeAndGiveBack(step) => *step,
            Arrival::WaitAsTold => 0,
        };
        match (take(store, &key, quota, now).await.outcome, arrival) {
            (Ok(ticket), Arrival::TakeAndGiveBack(_)) => store.give_back(&ticket, None).await.expect("taken back"),
            (Ok(_), _) => counted.push(now),
            (Err(millis), Arrival::WaitAsTold) => {
                assert!(millis >= 1);
                now += millis;
                take(store, &key, quota, now).await.outcome.expect("room after the time told");
                counted.push(now);
            }
            (Err(millis), _) => assert!(millis >= 1),
        }
    }
    counted
}
