//! Nobody learns from an answer, or from how long it takes, whether an address has an account.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client, PASSWORD, new_name, text};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    known_and_unknown_addresses_take_the_same_time in ALONE,
    answers_to_known_and_unknown_addresses_are_the_same_to_the_byte in ALONE,
    hidden_and_unknown_people_are_the_same_to_the_byte in ALONE,
);

/// Medians that differ by no more than this, or by a tenth, tell nothing.
const TOLERANCE: Duration = Duration::from_millis(5);
/// Pairs after which shortest times are compared.
const PAIRS: usize = 4;
const PATIENCE: Duration = Duration::from_mins(1);

type Ask = for<'a> fn(&'a Client, &'a str, &'a str) -> futures_util::future::BoxFuture<'a, Answer>;

fn log_in<'a>(client: &'a Client, email: &'a str, _name: &'a str) -> futures_util::future::BoxFuture<'a, Answer> {
    Box::pin(client.log_in(email, "maple-anchor-violin"))
}

fn ask_for_reset<'a>(client: &'a Client, email: &'a str, _name: &'a str) -> futures_util::future::BoxFuture<'a, Answer> {
    Box::pin(async move { client.post("/api/auth/password-reset", &json!({ "email": email })).await })
}

fn register<'a>(client: &'a Client, email: &'a str, name: &'a str) -> futures_util::future::BoxFuture<'a, Answer> {
    Box::pin(client.register(name, email, PASSWORD))
}

/// Again under a name that waits.
const AGAIN: &str = "registration, repeated";
const ROUTES: [(&str, Ask); 4] = [("log-in", log_in), ("password reset", ask_for_reset), ("registration", register), (AGAIN, register)];

/// A user name for a request: that of a registration which waits, to repeat it.
async fn name_for(client: &Client, route: &str) -> String {
    let name = new_name();
    if route == AGAIN {
        client.register(&name, &unknown(), PASSWORD).await.expect(StatusCode::ACCEPTED);
    }
    name
}

fn unknown() -> String {
    format!("{}@example.com", new_name())
}

/// The address of an account at a server that verifies addresses first.
async fn new_account(context: &Context, client: &Client) -> String {
    let email = unknown();
    client.register(&new_name(), &email, PASSWORD).await.expect(StatusCode::ACCEPTED);
    let token = context.mail_to(&email, "Confirm your", 1).await.remove(0).token().expect("a link");
    client.put("/api/auth/email", &json!({ "token": token })).await.ok();
    email
}

async fn timed((route, ask): (&str, Ask), client: &Client, email: &str) -> Duration {
    let name = name_for(client, route).await;
    let begun = Instant::now();
    let answer = ask(client, email, &name).await;
    let took = begun.elapsed();
    assert!([202, 401].contains(&answer.status.as_u16()), "{answer:?}");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The times of interleaved pairs, the known address first in every other one.
async fn times(route: (&str, Ask), client: &Client, known: &str, count: usize) -> [Vec<Duration>; 2] {
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    for number in 0..count {
        let stranger = unknown();
        if number % 2 == 0 {
            of_known.push(timed(route, client, known).await);
            of_unknown.push(timed(route, client, &stranger).await);
        } else {
            of_unknown.push(timed(route, client, &stranger).await);
            of_known.push(timed(route, client, known).await);
        }
    }
    [of_known, of_unknown]
}

/// Compares as exactly as the promise is, which takes a machine that does nothing else and as many pairs as `ORACLE_PAIRS` says.
async fn are_the_same_by_medians(route: (&str, Ask), client: &Client, known: &str, pairs: usize) -> bool {
    let [of_known, of_unknown] = times(route, client, known, pairs).await.map(median);
    println!("{}: median {of_known:?} for a known address, {of_unknown:?} for an unknown one", route.0);
    of_known.abs_diff(of_unknown) <= TOLERANCE.max(of_known.max(of_unknown) / 10)
}

/// Compares the shortest times, which a busy machine lengthens least, coarsely: whoever saves a hash is many times as fast for ever.
async fn become_the_same(route: (&str, Ask), client: &Client, known: &str) -> bool {
    let (begun, mut shortest) = (Instant::now(), [Duration::MAX; 2]);
    while begun.elapsed() < PATIENCE {
        let more = times(route, client, known, PAIRS).await.map(|times| times.into_iter().min().expect("some"));
        shortest = [shortest[0].min(more[0]), shortest[1].min(more[1])];
        let [shorter, longer] = [shortest[0].min(shortest[1]), shortest[0].max(shortest[1])];
        if longer <= 2 * shorter + TOLERANCE {
            return true;
        }
    }
    false
}

async fn known_and_unknown_addresses_take_the_same_time(context: Arc<Context>) {
    // A server that nothing else asks meanwhile.
    let (_folder, server) = context.instance_with(context.environment().with("REGISTRATION", "verified")).await;
    let client = Client::new(server.url());
    let known = new_account(&context, &client).await;
    let pairs = std::env::var("ORACLE_PAIRS").ok().map(|count| count.parse().expect("a number"));
    for route in ROUTES {
        let are_the_same = match pairs {
            Some(pairs) => are_the_same_by_medians(route, &client, &known, pairs).await,
            None => become_the_same(route, &client, &known).await,
        };
        assert!(are_the_same, "{}", route.0);
    }
}

#[track_caller]
fn assert_same(answers: &[Answer]) {
    for answer in answers {
        assert_eq!(answer.shape(), answers[0].shape());
    }
}

async fn answers_to_known_and_unknown_addresses_are_the_same_to_the_byte(context: Arc<Context>) {
    let (_folder, server) = context.instance_with(context.environment().with("REGISTRATION", "verified")).await;
    let client = Client::new(server.url());
    let (known, deleted, unverified) = (new_account(&context, &client).await, new_account(&context, &client).await, unknown());
    client.register(&new_name(), &unverified, PASSWORD).await.expect(StatusCode::ACCEPTED);
    let token = text(&client.log_in(&deleted, PASSWORD).await.ok()["token"]);
    let deletion = client.request(Method::DELETE, "/api/users/profile").bearer_auth(token).json(&json!({ "password": PASSWORD }));
    Answer::of(deletion).await.ok();
    let addresses = [known, unverified, deleted, unknown()];
    for (route, ask) in ROUTES {
        let mut answers = Vec::new();
        for address in &addresses {
            answers.push(ask(&client, address, &name_for(&client, route).await).await);
        }
        assert!(answers.iter().all(|answer| answer.status != 500), "{route}");
        assert_same(&answers);
    }
    // The right password of an address that is not verified is as wrong as any.
    let right = client.log_in(&addresses[1], PASSWORD).await;
    let wrong = client.log_in(&addresses[1], "maple-anchor-violin").await;
    assert_same(&[right, wrong]);
}

async fn hidden_and_unknown_people_are_the_same_to_the_byte(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.post("/api/users/blocks", &json!({ "userId": bob.id })).await.ok();
    let never = "0".repeat(31);
    let search = async |id: &str| bob.get(&format!("/api/users/search?ids={id}")).await;
    assert_same(&[search(&ann.id).await, search(&format!("{never}1")).await]);
    let gone = context.person().await;
    gone.delete("/api/users/profile", &json!({ "password": PASSWORD })).await.ok();
    for (path, field) in [("/api/users/friends", "friendId"), ("/api/users/blocks", "userId"), ("/api/chat/send", "recipientId")] {
        let ask = async |id: &str| {
            let mut body: Value = json!({ field: id });
            if field == "recipientId" {
                body["message"] = json!("hello");
            }
            bob.post(path, &body).await
        };
        assert_same(&[ask(&gone.id).await, ask(&format!("{never}1")).await]);
    }
}
