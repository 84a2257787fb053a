//! Changing the key of the tokens: the drill, with people at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::{Client, Person};
use crate::context::Context;
use crate::support::server::{Environment, JWT_SECRET};
use crate::tests;

tests!(Context:
    nobody_is_logged_out_by_a_change_of_the_key in &["sqlite", "mongodb"],
    a_previous_key_signs_nothing in &["mongodb"],
    at_each_step_of_a_change_instances_that_differ_take_each_others_tokens in &["mongodb"],
);

const NEXT: &str = "the key that comes next: 13579 and 24680";
const AFTER_NEXT: &str = "and the one after that: abcdef 0123456789";

fn with_keys(environment: &Environment, key: &str, previous: Option<&str>) -> Environment {
    let environment = environment.clone().with("JWT_SECRET", key).without("JWT_SECRET_PREVIOUS");
    previous.map_or(environment.clone(), |previous| environment.with("JWT_SECRET_PREVIOUS", previous))
}

/// Restarts the server under people who go on sending; whoever meets no server tries again, and nobody may be refused.
async fn nobody_is_logged_out_by_a_change_of_the_key(context: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let port = crate::support::server::free_port();
    let environment = context.environment().with("LISTEN", format!("127.0.0.1:{port}"));
    let start = async |environment: Environment| context.start_in(&environment, folder.path()).await;
    let server = start(with_keys(&environment, JWT_SECRET, None)).await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = [(ann.clone(), bob.clone()), (bob.clone(), ann.clone())]
        .into_iter()
        .map(|(from, to)| tokio::spawn(work(from, to, Arc::clone(&is_over))))
        .collect();
    server.stop().await;
    let server = start(with_keys(&environment, NEXT, Some(JWT_SECRET))).await;
    let late = Person::register(&client).await;
    server.stop().await;
    is_over.store(true, Ordering::SeqCst);
    for worker in workers {
        assert!(worker.await.expect("no panic") > 0, "messages were sent meanwhile");
    }
    let server = start(with_keys(&environment, AFTER_NEXT, Some(NEXT))).await;
    late.profile().await;
    ann.get("/api/users/profile").await.fails(401, "unauthorized");
    ann.log_in_again().await.profile().await;
    server.stop().await;
}

/// Sends one message after the other until it is over; gives how many.
async fn work(from: Person, to: Person, is_over: Arc<AtomicBool>) -> usize {
    let mut sent = 0;
    while !is_over.load(Ordering::SeqCst) {
        let body = serde_json::json!({ "recipientId": to.id, "message": "at work" });
        match from.request(reqwest::Method::POST, "/api/chat/send").json(&body).send().await {
            Ok(answer) => {
                assert!(answer.status() == 200 || answer.status() == 503, "{answer:?}");
                sent += usize::from(answer.status() == 200);
            }
            Err(_no_server) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
    sent
}

async fn a_previous_key_signs_nothing(context: Arc<Context>) {
    let (_folder, rotated) = context.instance_with(with_keys(&context.environment(), NEXT, Some(JWT_SECRET))).await;
    let ann = context.person().await;
    let there = ann.at(&Client::new(rotated.url()));
    there.profile().await;
    there.log_in_again().await.at(context.anonymous()).get("/api/users/profile").await.fails(401, "unauthorized");
}

/// The first instance is a step behind the second. What counts is that neither refuses what the other has signed.
async fn at_each_step_of_a_change_instances_that_differ_take_each_others_tokens(context: Arc<Context>) {
    let steps = [(JWT_SECRET, None), (JWT_SECRET, Some(NEXT)), (NEXT, Some(JWT_SECRET)), (NEXT, Some(JWT_SECRET))];
    let mut earlier: Vec<Person> = Vec::new();
    for pair in steps.windows(2) {
        let start = async |(key, previous)| context.instance_with(with_keys(&context.environment(), key, previous)).await;
        let ((_here, one), (_there, other)) = (start(pair[0]).await, start(pair[1]).await);
        let clients = [Client::new(one.url()), Client::new(other.url())];
        for client in &clients {
            earlier.push(Person::register(client).await);
        }
        for person in &earlier {
            for client in &clients {
                person.at(client).profile().await;
            }
        }
        // A link is good at either, whichever has sent it.
        for (person, client) in earlier[earlier.len() - 2..].iter().zip(clients.iter().rev()) {
            let token = context.mail_to(&person.email, "Confirm your", 1).await.remove(0).token().expect("a link");
            client.put("/api/auth/email", &serde_json::json!({ "token": token })).await.ok();
        }
    }
}
