//! `REGISTRATION=verified`: nobody is anybody before their address is verified.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Answer, Client, PASSWORD, new_name};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    a_registration_becomes_an_account_by_its_mail in ALONE,
    a_taken_address_answers_the_same_and_its_owner_is_told_once in ALONE,
    a_taken_name_is_told_whatever_the_address in ALONE,
    the_mail_activates_the_registration_that_caused_it in ALONE,
    of_two_registrations_of_one_address_one_becomes_an_account in ALONE,
    an_address_that_is_not_verified_opens_nothing in ALONE,
);

const OTHER: &str = "maple-anchor-violin";

/// A server of the test's own, with its client.
struct Verified<'a> {
    context: &'a Context,
    client: Client,
    _server: crate::support::server::Server,
    _folder: tempfile::TempDir,
}

impl<'a> Verified<'a> {
    async fn start(context: &'a Context) -> Self {
        let (folder, server) = context.instance_with(context.environment().with("REGISTRATION", "verified")).await;
        Self { context, client: Client::new(server.url()), _server: server, _folder: folder }
    }

    async fn register(&self, name: &str, email: &str, password: &str) -> Answer {
        self.client.register(name, email, password).await
    }

    async fn token(&self, email: &str, count: usize) -> String {
        self.context.mail_to(email, "Confirm your", count).await.pop().expect("a mail").token().expect("a link")
    }

    async fn verify(&self, token: &str) -> Answer {
        self.client.put("/api/auth/email", &json!({ "token": token })).await
    }
}

fn accepted() -> reqwest::StatusCode {
    reqwest::StatusCode::ACCEPTED
}

fn new_address() -> (String, String) {
    let name = new_name();
    let email = format!("{name}@example.com");
    (name, email)
}

async fn a_registration_becomes_an_account_by_its_mail(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    let body = server.register(&name, &email, PASSWORD).await.expect(accepted());
    assert_eq!(crate::client::names(&body), ["message"], "no token and no user");
    server.client.log_in(&email, PASSWORD).await.fails(401, "invalid_credentials");
    server.verify(&server.token(&email, 1).await).await.ok();
    let body = server.client.log_in(&email, PASSWORD).await.ok();
    assert_eq!((&body["user"]["username"], &body["user"]["isEmailVerified"]), (&json!(name), &json!(true)));
}

async fn a_taken_address_answers_the_same_and_its_owner_is_told_once(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    let free = server.register(&name, &email, PASSWORD).await;
    server.verify(&server.token(&email, 1).await).await.ok();
    let taken = server.register(&new_name(), &email.to_uppercase(), OTHER).await;
    assert_eq!(free.shape(), taken.shape());
    context.mail_to(&email, "You have an account", 1).await;
    // A further one is not told of on the same day; a mail to another person comes after it.
    server.register(&new_name(), &email, OTHER).await.expect(accepted());
    let (other_name, other_email) = new_address();
    server.register(&other_name, &other_email, PASSWORD).await.expect(accepted());
    server.token(&other_email, 1).await;
    assert_eq!(context.mail_to(&email, "You have an account", 1).await.len(), 1);
    server.client.log_in(&email, OTHER).await.fails(401, "invalid_credentials");
    server.client.log_in(&email, PASSWORD).await.ok();
}

async fn a_taken_name_is_told_whatever_the_address(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    server.register(&name, &email, PASSWORD).await.expect(accepted());
    let (_, other) = new_address();
    for address in [&email, &other] {
        server.register(&name.to_uppercase(), address, PASSWORD).await.fails(409, "username_taken");
    }
}

async fn the_mail_activates_the_registration_that_caused_it(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let ((thief, email), (owner, _)) = (new_address(), new_address());
    server.register(&thief, &email, OTHER).await.expect(accepted());
    let of_thief = server.token(&email, 1).await;
    server.register(&owner, &email, PASSWORD).await.expect(accepted());
    let of_owner = server.token(&email, 2).await;
    server.verify(&of_owner).await.ok();
    server.verify(&of_thief).await.fails(422, "invalid_mail_token");
    server.client.log_in(&email, OTHER).await.fails(401, "invalid_credentials");
    let body = server.client.log_in(&email, PASSWORD).await.ok();
    assert_eq!(body["user"]["username"], owner);
    let (_, other) = new_address();
    server.register(&thief, &other, PASSWORD).await.expect(accepted());
}

async fn of_two_registrations_of_one_address_one_becomes_an_account(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    for (name, count) in [(name.clone(), 1), (format!("{name}-b"), 2)] {
        server.register(&name, &email, PASSWORD).await.expect(accepted());
        server.token(&email, count).await;
    }
    let tokens: Vec<_> = context.mail_to(&email, "Confirm your", 2).await.iter().map(|mail| mail.token().expect("a link")).collect();
    let answers = join_all(tokens.iter().cycle().take(20).map(|token| server.verify(token))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| [200, 422].contains(&answer.status.as_u16())), "{answers:?}");
}

async fn an_address_that_is_not_verified_opens_nothing(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    server.register(&name, &email, PASSWORD).await.expect(accepted());
    server.verify(&server.token(&email, 1).await).await.ok();
    let body = server.client.log_in(&email, PASSWORD).await.ok();
    let token = crate::client::text(&body["token"]);
    let (_, other) = new_address();
    let request = server.client.request(reqwest::Method::PUT, "/api/users/profile").bearer_auth(&token).json(&json!({ "email": other }));
    Answer::of(request).await.ok();
    server.client.log_in(&other, PASSWORD).await.fails(401, "invalid_credentials");
    server.verify(&server.token(&other, 1).await).await.ok();
    server.client.log_in(&other, PASSWORD).await.ok();
}
