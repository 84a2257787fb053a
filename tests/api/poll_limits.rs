//! How many may wait at a time, and that who waits takes nothing from the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Answer, Client, Person, once};
use crate::context::{ALONE, Context};
use crate::support::metrics::Metrics;
use crate::support::server::{Environment, Server};
use crate::tests;

tests!(Context:
    a_session_and_a_person_wait_only_so_often_at_a_time in ALONE,
    a_session_that_waits_too_often_ends_its_oldest_wait in ALONE,
    a_process_lets_only_so_many_wait in ALONE,
    who_waits_is_not_in_work in ALONE,
    a_client_that_goes_away_leaves_its_place in ALONE,
);

/// Requests in work at once, which polls are not among.
const IN_WORK: usize = 512;

/// How long something may take that is not to hang.
const PATIENCE: Duration = Duration::from_mins(1);

/// What must not be in the way; registrations are counted in the database, which other tests share.
const RAISED: [(&str, &str); 3] = [("LIMIT_REGISTER", "1000/1h"), ("LIMIT_READ", "1000000/1s"), ("LIMIT_ANONYMOUS", "1000000/1s")];

/// A server with these limits, and two people at it.
async fn server_with(context: &Context, limits: &[(&str, &str)]) -> (tempfile::TempDir, Server, Person, Person) {
    server_in(context, context.environment(), limits).await
}

async fn server_in(context: &Context, environment: Environment, limits: &[(&str, &str)]) -> (tempfile::TempDir, Server, Person, Person) {
    let limits = RAISED.into_iter().chain(limits.iter().copied());
    let environment = limits.fold(environment.with("LIMITS", "on"), |environment, (name, value)| environment.with(name, value));
    let (folder, server) = context.instance_with(environment).await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    (folder, server, ann, bob)
}

/// Polls of a person that are under way, as many as there are. So many at once may find the store busy, and are repeated then.
fn polls(person: &Person, with: &Person, count: usize) -> JoinSet<Answer> {
    (0..count)
        .map(|_| (person.clone(), with.clone()))
        .map(|(person, with)| async move { person.poll_messages(&with, 0, 25).await })
        .collect()
}

/// The next answer.
async fn first_answer(polls: &mut JoinSet<Answer>) -> Answer {
    tokio::time::timeout(PATIENCE, polls.join_next()).await.expect("an answer").expect("a poll").expect("no panic")
}

async fn a_session_and_a_person_wait_only_so_often_at_a_time(context: Arc<Context>) {
    let limits = [("MAX_POLLS_PER_SESSION", "2"), ("MAX_POLLS_PER_USER", "3")];
    let (_folder, _server, ann, bob) = server_with(&context, &limits).await;
    let other = ann.log_in_again().await;
    let mut of_session = polls(&ann, &bob, 3);
    let refused = first_answer(&mut of_session).await;
    assert_eq!(refused.header("retry-after"), "2");
    refused.fails(429, "rate_limited");
    let mut of_person = polls(&other, &bob, 2);
    let refused = first_answer(&mut of_person).await;
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=26).contains(&seconds), "{seconds}");
    refused.fails(429, "rate_limited");
    // Whoever may not wait may still ask.
    assert!(ann.messages(&format!("?with={}&after=0", bob.id)).await.is_empty());
    bob.send(&ann, "hello").await.ok();
    let waited = of_session.join_all().await.into_iter().chain(of_person.join_all().await);
    assert_eq!(waited.map(|answer| assert_eq!(answer.ok()["messages"][0]["content"], "hello")).count(), 3);
}

async fn a_session_that_waits_too_often_ends_its_oldest_wait(context: Arc<Context>) {
    let (_folder, _server, ann, bob) = server_with(&context, &[("MAX_POLLS_PER_SESSION", "1")]).await;
    let admitted = async || {
        loop {
            let answer = ann.poll_messages(&bob, 0, 25).await;
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                return answer.ok();
            }
        }
    };
    // Whichever of the two is admitted first gives its place to the other.
    let (mut one, mut other) = (Box::pin(admitted()), Box::pin(admitted()));
    let displaced = tokio::select! {
        displaced = &mut one => { one = other; displaced }
        displaced = &mut other => displaced,
    };
    assert_eq!(displaced, json!({ "messages": [] }), "with what there was");
    let (answer, _) = futures_util::join!(one, bob.send(&ann, "hello"));
    assert_eq!(answer["messages"][0]["content"], "hello");
}

async fn a_process_lets_only_so_many_wait(context: Arc<Context>) {
    let (_folder, _server, ann, bob) = server_with(&context, &[("MAX_POLLS", "1")]).await;
    let mut both: JoinSet<_> = [ann.clone(), ann.clone()]
        .map(|ann| (ann, bob.clone()))
        .map(|(ann, bob)| once(async move { ann.poll_messages(&bob, 0, 25).await }))
        .into_iter()
        .collect();
    let refused = first_answer(&mut both).await;
    assert!(!refused.header("retry-after").is_empty());
    refused.fails(503, "overloaded");
    bob.send(&ann, "hello").await.ok();
    first_answer(&mut both).await.ok();
}

async fn who_waits_is_not_in_work(context: Arc<Context>) {
    let in_all = IN_WORK + 88;
    let count = in_all.to_string();
    let limits = [("MAX_POLLS_PER_SESSION", count.as_str()), ("MAX_POLLS_PER_USER", &count), ("MAX_POLLS", &count)];
    let (environment, metrics) = Metrics::of(context.environment());
    let (_folder, _server, ann, bob) = server_in(&context, environment, &limits).await;
    let waiting: JoinSet<_> = (0..in_all).map(|_| wait_for_news(ann.clone(), bob.clone())).collect();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "they do not wait while others are served");
        let others = join_all((0..20).map(|_| bob.get("/api/users/profile"))).await;
        if metrics.polls_waiting().await > IN_WORK && others.iter().all(|answer| answer.status == StatusCode::OK) {
            break;
        }
    }
    bob.send(&ann, "hello").await.ok();
    for news in waiting.join_all().await {
        assert_eq!(news["messages"][0]["content"], "hello");
    }
}

/// Polls as often as it takes.
async fn wait_for_news(reader: Person, peer: Person) -> Value {
    loop {
        let page = reader.poll_messages(&peer, 0, 25).await.ok();
        if page["messages"] != json!([]) {
            return page;
        }
    }
}

async fn a_client_that_goes_away_leaves_its_place(context: Arc<Context>) {
    let limits = [("MAX_POLLS_PER_SESSION", "2")];
    let (_folder, _server, ann, bob) = server_with(&context, &limits).await;
    for round in 0..5 {
        let mut polls = polls(&ann, &bob, 3);
        // When one of three is refused the other two wait.
        first_answer(&mut polls).await.fails(429, "rate_limited");
        polls.shutdown().await;
        let begun = Instant::now();
        while ann.poll_messages(&bob, 0, 0).await.status != StatusCode::OK {
            assert!(begun.elapsed() < PATIENCE, "a place is still taken in round {round}");
        }
    }
}
