//! Registrations where addresses are verified first: how much mail they may cause, and how often their passwords are guessed.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::json;

use super::{ELSEWHERE, HOME, Site, is_limited};
use crate::client::{Answer, Client, PASSWORD, new_name};
use crate::context::{ALONE, Context};
use crate::support::smtp::{Options, PATIENCE, SmtpServer};
use crate::tests;

tests!(Context:
    a_registration_whose_mail_would_be_one_too_many_is_refused_and_holds_nothing in ALONE,
    // The stand-in for MongoDB that tests run on refuses an insert under a unique key that an update has freed.
    an_account_comes_into_being_without_a_mail_that_would_be_one_too_many in &["sqlite"],
    guesses_at_a_registration_that_waits_are_limited_however_they_are_spelt in ALONE,
);

const OTHER: &str = "maple-anchor-violin";

async fn register(client: &Client, name: &str, email: &str) -> Answer {
    client.register(name, email, PASSWORD).await
}

async fn a_registration_whose_mail_would_be_one_too_many_is_refused_and_holds_nothing(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    let limits = [("LIMIT_MAIL_ADDRESS", "3/1h"), ("REGISTRATION", "verified"), ("MAIL_URL", &smtp.url())];
    let site = Site::new(&context, &limits);
    let running = site.start().await;
    let client = running.client(HOME);
    let (owner, thief, name) = (new_name(), new_name(), new_name());
    let email = format!("{owner}@example.com");
    register(&client, &owner, &email).await.expect(StatusCode::ACCEPTED);
    let link = smtp.wait_for(|mail| mail.is_to(&email), PATIENCE).await.token().expect("a link");
    client.put("/api/auth/email", &json!({ "token": link })).await.ok();
    // Registering and registering again count alike, and so they do where the address is an account's; a refusal does not.
    register(&client, &thief, &email).await.expect(StatusCode::ACCEPTED);
    client.register(&owner, &email, OTHER).await.fails(409, "username_taken");
    // What is given back is given back behind the answer.
    let again = async || register(&client, &thief, &format!(" {}\t", email.to_uppercase())).await;
    let mut answer = again().await;
    while answer.status == StatusCode::TOO_MANY_REQUESTS {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        answer = again().await;
    }
    answer.expect(StatusCode::ACCEPTED);
    for name in [&thief, &name] {
        is_limited(register(&client, name, &email).await, 60 * 60);
    }
    let elsewhere = format!("{name}@example.com");
    register(&client, &name, &elsewhere).await.expect(StatusCode::ACCEPTED);
    smtp.wait_for(|mail| mail.is_to(&elsewhere), PATIENCE).await;
    register(&client, &thief, &format!("{thief}@example.com")).await.expect(StatusCode::ACCEPTED);
    // None of it used up what the owner may be sent to get back in.
    running.client(ELSEWHERE).post("/api/auth/password-reset", &json!({ "email": email })).await.expect(StatusCode::ACCEPTED);
    smtp.wait_for(|mail| mail.is_to(&email) && mail.subject().contains("new password"), PATIENCE).await;
    site.clear().await;
}

async fn an_account_comes_into_being_without_a_mail_that_would_be_one_too_many(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    let site = Site::new(&context, &[("LIMIT_MAIL_ADDRESS", "1/1h"), ("MAIL_URL", &smtp.url())]);
    let running = site.start().await;
    let client = running.client(HOME);
    let (first, second, later) = (new_name(), new_name(), new_name());
    let email = format!("{first}@example.com");
    let body = register(&client, &first, &email).await.expect(StatusCode::CREATED);
    smtp.wait_for(|mail| mail.is_to(&email), PATIENCE).await;
    let moved = json!({ "email": format!("{later}@example.org") });
    let request = client.request(reqwest::Method::PUT, "/api/users/profile").bearer_auth(crate::client::text(&body["token"]));
    Answer::of(request.json(&moved)).await.ok();
    register(&client, &second, &email).await.expect(StatusCode::CREATED);
    let last = format!("{later}@example.com");
    register(&client, &later, &last).await.expect(StatusCode::CREATED);
    // A mail that is ordered after others arrives after them.
    smtp.wait_for(|mail| mail.is_to(&last), PATIENCE).await;
    assert!(!smtp.mails().iter().any(|mail| mail.text().contains(&second)));
    site.clear().await;
}

async fn guesses_at_a_registration_that_waits_are_limited_however_they_are_spelt(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    let limits = [("LIMIT_PASSWORD_CHECK", "3/15m"), ("REGISTRATION", "verified"), ("MAIL_URL", &smtp.url())];
    let site = Site::new(&context, &limits);
    let running = site.start().await;
    let (home, thief) = (running.client(HOME), running.client(ELSEWHERE));
    let name = new_name();
    let (mut email, mut link) = (String::new(), String::new());
    // The right password is no guess.
    for _ in 0..5 {
        email = format!("{}@example.com", new_name());
        register(&home, &name, &email).await.expect(StatusCode::ACCEPTED);
        link = smtp.wait_for(|mail| mail.is_to(&email), PATIENCE).await.token().expect("a link");
    }
    let guess =
        async |name: &str, number: usize| thief.register(name, &format!("{}@example.com", new_name()), &format!("{OTHER} {number}")).await;
    let spellings = [name.clone(), format!(" {name}"), format!("{}\u{a0}", name.to_uppercase())];
    let mut checked = 0;
    for (number, spelling) in spellings.iter().cycle().take(9).enumerate() {
        let answer = guess(spelling, number).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            is_limited(answer, 15 * 60);
        } else {
            answer.fails(409, "username_taken");
            checked += 1;
        }
    }
    assert!((1..=3).contains(&checked), "{checked} guesses are checked");
    is_limited(register(&thief, &name, &format!("{}@example.com", new_name())).await, 15 * 60);
    home.put("/api/auth/email", &json!({ "token": link })).await.ok();
    home.log_in(&email, PASSWORD).await.ok();
    site.clear().await;
}
