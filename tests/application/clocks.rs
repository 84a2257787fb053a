//! A clock that is ahead for a while and then right again, and an instance whose clock is an hour ahead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::domain::Timestamp;
use serde_json::Value;

use crate::client::{Person, time};
use crate::{Context, tests};

tests!(Context:
    a_clock_that_was_ahead_leaves_no_trace_but_one_date,
    a_clock_that_was_behind_leaves_none,
    an_instance_an_hour_ahead_serves_the_same_people,
);

const HOUR: i64 = 60 * Timestamp::MINUTE_MILLIS;
const AHEAD: [i64; 3] = [10_000, HOUR, 300 * Timestamp::DAY_MILLIS];
/// How far a clock may be ahead and count as right.
const TOLERANCE: i64 = 60_000;

/// How far ahead of the context's clock a time is, in milliseconds.
fn ahead_of(context: &Context, value: &Value) -> i64 {
    let millis = i64::try_from(time(value).unix_timestamp_nanos() / 1_000_000).expect("a time");
    millis - context.clock.now().as_millis()
}

/// Waits until somebody's friend is seen so: use is noted behind the answer.
async fn sees(person: &Person, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let seen = person.get("/api/users/friends").await.ok()["friends"][0].clone();
        if is_so(&seen) {
            return seen;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_online(seen: &Value) -> bool {
    seen["online_status"] == "online"
}

async fn a_clock_that_was_ahead_leaves_no_trace_but_one_date(context: Arc<Context>) {
    for ahead in AHEAD {
        let context = context.fresh_without_mail().await;
        let (ann, bob) = (Person::register(&context.client).await, Person::register(&context.client).await);
        let carl = Person::register(&context.client).await;
        bob.befriend(&ann).await.ok();
        ann.befriend(&bob).await.ok();
        context.clock.advance_millis(ahead);
        if ahead < Timestamp::DAY_MILLIS {
            ann.send(&bob, "ahead").await.ok();
        } else {
            // Sessions of before have ended; one that begins ahead goes on.
            ann.log_in_again().await.send(&bob, "ahead").await.ok();
        }
        context.clock.advance_millis(-ahead);
        if ahead > TOLERANCE {
            // Longer than the use of before the jump counts, and much shorter than the clock was ahead.
            context.clock.advance_millis(5 * TOLERANCE);
            // Nobody is seen in the future.
            sees(&bob, |ann| !is_online(ann) && ann["lastSeen"].is_null()).await;
        }
        let ann_again = ann.log_in_again().await;
        ann_again.send(&bob, "right again").await.ok();
        let sent = ann.messages(&format!("?with={}", bob.id)).await;
        assert_eq!(sent.iter().map(|message| message["seq"].as_u64().expect("a number")).collect::<Vec<_>>(), [1, 2]);
        let later = ahead_of(&context, &sent[1]["timestamp"]);
        assert!(later <= TOLERANCE, "dated {later} ms ahead");
        let seen = sees(&bob, is_online).await;
        assert!(ahead_of(&context, &seen["lastSeen"]) <= TOLERANCE, "{seen}");
        context.clock.advance_millis(TOLERANCE);
        carl.send(&bob, "newest").await.ok();
        let listed = bob.conversations("").await;
        assert_eq!(listed[0]["lastMessage"]["content"], "newest", "no chat stays on top");
        context.clock.advance_millis(2 * TOLERANCE);
        sees(&bob, |friend| !is_online(friend)).await;
        context.clear().await;
    }
}

async fn a_clock_that_was_behind_leaves_none(context: Arc<Context>) {
    for behind in AHEAD {
        let context = context.fresh_without_mail().await;
        let (ann, bob) = (Person::register(&context.client).await, Person::register(&context.client).await);
        bob.befriend(&ann).await.ok();
        ann.befriend(&bob).await.ok();
        ann.send(&bob, "1").await.ok();
        context.clock.advance_millis(-behind);
        ann.send(&bob, "2").await.ok();
        ann.log_in_again().await.profile().await;
        context.clock.advance_millis(behind);
        // To a clock that is far behind every session is one of the future, and ends in 30 of its days.
        let (ann, bob) = (ann.log_in_again().await, bob.log_in_again().await);
        ann.send(&bob, "3").await.ok();
        let sent = bob.messages(&format!("?with={}", ann.id)).await;
        let texts: Vec<_> = sent.iter().map(|message| message["content"].as_str().expect("a text")).collect();
        assert_eq!(texts, ["1", "2", "3"]);
        assert!(ahead_of(&context, &sent[2]["timestamp"]).abs() <= TOLERANCE);
        sees(&bob, is_online).await;
        context.clear().await;
    }
}

async fn an_instance_an_hour_ahead_serves_the_same_people(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let ahead = context.another_instance(HOUR);
    let (ann, bob) = (Person::register(&ahead).await, Person::register(&context.client).await);
    let ann_here = ann.at(&context.client);
    bob.befriend(&ann).await.ok();
    ann_here.befriend(&bob).await.ok();
    for round in 0..3 {
        ann.send(&bob, &format!("{round} there")).await.ok();
        bob.send(&ann, &format!("{round} here")).await.ok();
        ann_here.log_in_again().await.at(&ahead).profile().await;
        ann.log_in_again().await.at(&context.client).profile().await;
    }
    let sent = ann_here.messages(&format!("?with={}", bob.id)).await;
    assert_eq!(sent.len(), 6);
    for (number, message) in sent.iter().enumerate() {
        assert_eq!(message["seq"], number + 1);
        let is_from_there = number % 2 == 0;
        let ahead = ahead_of(&context, &message["timestamp"]);
        assert_eq!(ahead > TOLERANCE, is_from_there, "each is dated by its own instance: {ahead}");
    }
    ann_here.profile().await;
    assert!(ahead_of(&context, &sees(&bob, is_online).await["lastSeen"]) <= TOLERANCE);
    context.clear().await;
}
