//! Mail that is asked for: how much of it one address gets and one net orders, and that it is a way back in.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ELSEWHERE, HOME, Site, is_limited};
use crate::client::{Answer, Client, PASSWORD, Person, new_name};
use crate::context::{ALONE, Context};
use crate::support::smtp::{Options, PATIENCE, ReceivedMail, SmtpServer};
use crate::tests;

tests!(Context:
    too_much_mail_to_one_address_is_withheld_without_a_word in ALONE,
    too_much_mail_from_one_net_is_refused in ALONE,
    a_new_password_set_by_mail_may_be_used_at_once in ALONE,
    a_good_link_is_no_guess_whatever_becomes_of_it in ALONE,
    nobody_uses_up_the_resets_of_another_person_by_other_mail in ALONE,
    the_old_address_is_told_however_much_mail_the_new_one_was_sent in ALONE,
);

const ROUTE: &str = "/api/auth/password-reset";
const NEW: &str = "maple-anchor-violin";

async fn ask(client: &Client, address: &str) -> Answer {
    client.post(ROUTE, &json!({ "email": address })).await
}

async fn accepted(client: &Client, address: &str) -> Value {
    ask(client, address).await.expect(StatusCode::ACCEPTED)
}

fn is_reset(mail: &ReceivedMail, address: &str) -> bool {
    mail.is_to(address) && mail.subject().contains("new password")
}

async fn too_much_mail_to_one_address_is_withheld_without_a_word(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    let site = Site::new(&context, &[("LIMIT_MAIL_ADDRESS", "2/1h"), ("MAIL_URL", &smtp.url())]);
    let running = site.start().await;
    let home = running.client(HOME);
    let (ann, bob) = (Person::register(&home).await, Person::register(&home).await);
    let count = || smtp.mails().iter().filter(|mail| is_reset(mail, &ann.email)).count();
    let first = accepted(&home, &ann.email).await;
    smtp.wait_for(|mail| is_reset(mail, &ann.email), PATIENCE).await;
    for client in [&running.client(ELSEWHERE), &home, &running.client(ELSEWHERE)] {
        assert_eq!(accepted(client, &ann.email.to_uppercase()).await, first);
    }
    // A mail that is ordered after others arrives after them.
    accepted(&home, &bob.email).await;
    smtp.wait_for(|mail| is_reset(mail, &bob.email), PATIENCE).await;
    assert_eq!(count(), 2);
    site.clear().await;
}

async fn too_much_mail_from_one_net_is_refused(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_MAIL_NET", "3/1h")]);
    let running = site.start().await;
    let (home, elsewhere) = (running.client(HOME), running.client(ELSEWHERE));
    let ann = Person::register(&elsewhere).await;
    let again = async |client: &Client| Answer::of(ann.at(client).request(reqwest::Method::POST, "/api/auth/email")).await;
    accepted(&home, &ann.email).await;
    accepted(&home, "nobody@example.com").await;
    again(&home).await.expect(StatusCode::ACCEPTED);
    is_limited(ask(&home, &ann.email).await, 60 * 60);
    is_limited(ask(&home, "somebody@example.com").await, 60 * 60);
    is_limited(again(&home).await, 60 * 60);
    again(&elsewhere).await.expect(StatusCode::ACCEPTED);
    site.clear().await;
}

async fn a_new_password_set_by_mail_may_be_used_at_once(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    let site = Site::new(&context, &[("LIMIT_LOGIN_ACCOUNT_NET", "1/15m"), ("MAIL_URL", &smtp.url())]);
    let running = site.start().await;
    let home = running.client(HOME);
    let ann = Person::register(&home).await;
    home.log_in(&ann.email, "a wrong password").await.fails(401, "invalid_credentials");
    is_limited(home.log_in(&ann.email, PASSWORD).await, 15 * 60);
    accepted(&home, &ann.email).await;
    let token = smtp.wait_for(|mail| is_reset(mail, &ann.email), PATIENCE).await.token().expect("a link");
    home.put(ROUTE, &json!({ "token": token, "newPassword": NEW })).await.ok();
    home.log_in(&ann.email, NEW).await.ok();
    running.client(ELSEWHERE).log_in(&ann.email, NEW).await.ok();
    site.clear().await;
}

async fn the_old_address_is_told_however_much_mail_the_new_one_was_sent(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    let site = Site::new(&context, &[("LIMIT_MAIL_ADDRESS", "1/1h"), ("MAIL_URL", &smtp.url())]);
    let running = site.start().await;
    let home = running.client(HOME);
    let (ann, bob) = (Person::register(&home).await, Person::register(&home).await);
    for address in ["thief@example.com", "elsewhere@example.com"] {
        bob.put("/api/users/profile", &json!({ "email": address })).await.ok();
    }
    ann.put("/api/users/profile", &json!({ "email": "thief@example.com" })).await.ok();
    smtp.wait_for(|mail| mail.is_to(&ann.email) && mail.subject().contains("Your address at"), PATIENCE).await;
    let to_new = smtp.mails().iter().filter(|mail| mail.is_to("thief@example.com") && mail.text().contains(&ann.username)).count();
    assert_eq!(to_new, 0);
    site.clear().await;
}

async fn nobody_uses_up_the_resets_of_another_person_by_other_mail(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    let site = Site::new(&context, &[("LIMIT_MAIL_ADDRESS", "2/1h"), ("MAIL_URL", &smtp.url())]);
    let running = site.start().await;
    let (home, thief) = (running.client(HOME), running.client(ELSEWHERE));
    let (ann, bob) = (Person::register(&home).await, Person::register(&thief).await);
    for _ in 0..3 {
        bob.put("/api/users/profile", &json!({ "email": ann.email })).await.fails(409, "email_taken");
        Answer::of(ann.at(&thief).request(reqwest::Method::POST, "/api/auth/email")).await.expect(StatusCode::ACCEPTED);
        thief.register(&new_name(), &ann.email, PASSWORD).await.fails(409, "email_taken");
    }
    accepted(&home, &format!(" {} ", ann.email)).await;
    smtp.wait_for(|mail| is_reset(mail, &ann.email), PATIENCE).await;
    // Nor the reverse: what comes on top of two resets is withheld, a change of address is not.
    for _ in 0..2 {
        accepted(&thief, "new@example.com").await;
    }
    bob.put("/api/users/profile", &json!({ "email": "new@example.com" })).await.ok();
    smtp.wait_for(|mail| mail.is_to("new@example.com") && mail.subject().contains("Confirm your"), PATIENCE).await;
    site.clear().await;
}

async fn a_good_link_is_no_guess_whatever_becomes_of_it(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    let site = Site::new(&context, &[("LIMIT_MAIL_TOKEN", "1/1h"), ("MAIL_URL", &smtp.url())]);
    let running = site.start().await;
    let home = running.client(HOME);
    let ann = Person::register(&home).await;
    accepted(&home, &ann.email).await;
    let token = smtp.wait_for(|mail| is_reset(mail, &ann.email), PATIENCE).await.token().expect("a link");
    let redeem = async |password: &str| home.put(ROUTE, &json!({ "token": token, "newPassword": password })).await;
    redeem("password123!").await.fails(422, "password_too_common");
    // What is given back is given back behind the answer.
    let mut answer = redeem(NEW).await;
    while answer.status == StatusCode::TOO_MANY_REQUESTS {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        answer = redeem(NEW).await;
    }
    answer.ok();
    site.clear().await;
}
