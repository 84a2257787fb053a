//! Sends, reads and requests without a token, and what an answer tells of them; chats with strangers; hashes that wait.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use super::{ELSEWHERE, HOME, Site, count, is_limited, register, wait_of};
use crate::client::{Answer, PASSWORD, Person, once};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    sends_are_limited_and_the_wait_is_true in ALONE,
    reads_are_limited_by_person in ALONE,
    requests_without_a_valid_token_are_limited_by_their_net in ALONE,
    chats_with_strangers_are_limited in ALONE,
    no_net_fills_the_queue_of_password_hashes in ALONE,
);

/// How much is left of a limit, and in how many seconds all of it will be: in so many, or less on a machine that was slow.
#[track_caller]
fn assert_left(answer: &Answer, limit: &str, left: u64, seconds: u64) {
    let told = answer.header("ratelimit");
    let until = told.strip_prefix(&format!("\"{limit}\";r={left};t=")).and_then(|until| until.parse::<u64>().ok());
    assert!(until.is_some_and(|until| (1..=seconds).contains(&until)), "{told}");
}

/// Repeats a request until it is one too many; it must not be the first.
async fn until_refused<F: Future<Output = Answer>>(request: impl Fn() -> F) -> Answer {
    assert!(request().await.status.is_success());
    for _ in 0..100 {
        let answer = request().await;
        if answer.status == 429 {
            return answer;
        }
        assert!(answer.status.is_success(), "{answer:?}");
    }
    panic!("nothing was refused");
}

async fn sends_are_limited_and_the_wait_is_true(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_SEND", "4/20s")]);
    let running = site.start().await;
    let client = running.client(HOME);
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    let first = ann.send(&bob, "hello").await;
    assert_eq!(first.header("ratelimit-policy"), "\"send\";q=4;w=20");
    assert_left(&first, "send", 3, 5);
    let refused = until_refused(|| ann.send(&bob, "hello")).await;
    assert_eq!(refused.header("ratelimit-policy"), "\"send\";q=4;w=20");
    assert_left(&refused, "send", 0, 20);
    let wait = wait_of(&refused);
    is_limited(refused, 5);
    bob.send(&ann, "others write on").await.ok();
    assert_eq!(ann.get("/api/users/profile").await.header("ratelimit-policy"), "\"read\";q=1000;w=1");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    ann.send(&bob, "as late as told").await.ok();
    // A request that fails for another reason counts and tells as well.
    let invalid = bob.post("/api/chat/send", &json!({})).await;
    assert_eq!(invalid.header("ratelimit-policy"), "\"send\";q=4;w=20");
    invalid.fails_in(&["message", "recipientId"]);
    site.clear().await;
}

async fn reads_are_limited_by_person(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_READ", "5/1h")]);
    let running = site.start().await;
    let ann = Person::register(&running.client(HOME)).await;
    // A session more and a net more are not a person more.
    let elsewhere = ann.log_in_again().await.at(&running.client(ELSEWHERE));
    is_limited(until_refused(|| ann.get("/api/users/profile")).await, 12 * 60);
    let refused = elsewhere.get("/api/chat/messages").await;
    assert_left(&refused, "read", 0, 3_600);
    is_limited(refused, 12 * 60);
    assert_eq!(ann.get("/api/users/search?username=an").await.header("ratelimit-policy"), "\"search\";q=1000;w=1", "a limit of its own");
    let bob = Person::register(&running.client(HOME)).await;
    assert_left(&bob.get("/api/users/profile").await, "read", 4, 720);
    site.clear().await;
}

async fn requests_without_a_valid_token_are_limited_by_their_net(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_ANONYMOUS", "5/1h")]);
    let running = site.start().await;
    let (home, elsewhere) = (running.client(HOME), running.client(ELSEWHERE));
    let ann = Person::register(&elsewhere).await.at(&home);
    let forged = Person { token: "a.b.c".to_owned(), ..ann.clone() };
    for number in 1..=5 {
        let refused = if number % 2 == 0 { forged.get("/api/users/profile").await } else { home.get("/api/users/profile").await };
        assert_eq!(refused.header("ratelimit-policy"), "\"anonymous\";q=5;w=3600");
        assert_left(&refused, "anonymous", 5 - number, 720 * number);
        refused.fails(401, "unauthorized");
    }
    is_limited(forged.get("/api/users/profile").await, 12 * 60);
    is_limited(home.get("/api/chat/messages").await, 12 * 60);
    is_limited(home.log_in(&ann.email, PASSWORD).await, 12 * 60);
    let profile = ann.get("/api/users/profile").await;
    assert!(profile.header("ratelimit").starts_with("\"read\";"), "a genuine token is no part of it: {profile:?}");
    profile.ok();
    elsewhere.log_in(&ann.email, PASSWORD).await.ok();
    for probe in ["/", "/api/health"] {
        for _ in 0..10 {
            let answer = home.get(probe).await;
            assert!(answer.status.is_success() && answer.header("ratelimit").is_empty(), "{answer:?}");
        }
    }
    site.clear().await;
}

async fn chats_with_strangers_are_limited(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_NEW_CHATS", "2/1d")]);
    let running = site.start().await;
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(Person::register(&running.client(HOME)).await);
    }
    let [ann, bob, carol, dora, ed] = people.try_into().unwrap_or_else(|_| panic!("five"));
    for stranger in [&bob, &carol] {
        ann.send(stranger, "hello").await.ok();
    }
    is_limited(ann.send(&dora, "hello").await, 24 * 60 * 60);
    assert!(dora.messages("").await.is_empty());
    ann.send(&bob, "hello again").await.ok();
    bob.send(&ann, "an answer").await.ok();
    ed.befriend(&ann).await.ok();
    ann.send(&ed, "hello").await.ok();
    bob.send(&dora, "each has a limit of their own").await.ok();
    site.clear().await;
}

async fn no_net_fills_the_queue_of_password_hashes(context: Arc<Context>) {
    let site = Site::new(&context, &[]);
    let running = site.start().await;
    let (home, elsewhere) = (running.client(HOME), running.client(ELSEWHERE));
    let many = join_all((0..60).map(|_| register(&home)));
    let (many, other) = futures_util::join!(once(many), register(&elsewhere));
    assert_eq!(count(&many, 201) + count(&many, 503), 60, "{many:?}");
    assert!(count(&many, 503) > 0, "all were hashed");
    for refused in many.into_iter().filter(|answer| answer.status == 503) {
        wait_of(&refused);
        refused.fails(503, "overloaded");
    }
    other.expect(StatusCode::CREATED);
    site.clear().await;
}
