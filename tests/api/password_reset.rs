//! `/api/auth/password-reset`: the way back in by mail.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Answer, PASSWORD, new_name};
use crate::context::{ALONE, Context};
use crate::limits::Raw;
use crate::tests;

tests!(Context:
    a_reset_sets_the_password_and_ends_every_session,
    every_address_gets_the_same_answer,
    a_token_works_once,
    of_30_uses_at_once_one_succeeds,
    a_newer_mail_voids_the_older,
    a_guessable_password_does_not_use_the_token_up,
    a_token_of_another_purpose_resets_nothing,
    a_reset_verifies_the_address,
    the_mail_goes_to_the_address_as_it_was_registered,
    what_is_no_token_is_refused,
    the_forwarded_host_is_in_no_link,
    neither_host_nor_target_of_a_request_is_in_a_link in ALONE,
);

const ROUTE: &str = "/api/auth/password-reset";
const NEW: &str = "maple-anchor-violin";
const SUBJECT: &str = "new password";

async fn ask(context: &Context, email: &str) -> Answer {
    context.anonymous().post(ROUTE, &json!({ "email": email })).await
}

async fn redeem(context: &Context, token: &str, password: &str) -> Answer {
    context.anonymous().put(ROUTE, &json!({ "token": token, "newPassword": password })).await
}

/// Asks for a mail and waits for it; it is the `count`-th to this address.
async fn asked_token(context: &Context, email: &str, count: usize) -> String {
    ask(context, email).await.expect(202.try_into().expect("a status"));
    context.mail_to(email, SUBJECT, count).await.pop().expect("a mail").token().expect("a link")
}

async fn a_reset_sets_the_password_and_ends_every_session(context: Arc<Context>) {
    let ann = context.person().await;
    let phone = ann.log_in_again().await;
    let token = asked_token(&context, &ann.email, 1).await;
    ann.profile().await;
    assert_eq!(
        redeem(&context, &token, NEW).await.ok(),
        json!({ "message": "Password reset successfully" }),
        "and no token: it logs nobody in"
    );
    for person in [&ann, &phone] {
        person.get("/api/users/profile").await.fails(401, "unauthorized");
    }
    context.anonymous().log_in(&ann.email, PASSWORD).await.fails(401, "invalid_credentials");
    context.anonymous().log_in(&ann.email, NEW).await.ok();
    context.mail_to(&ann.email, "password at", 1).await;
}

async fn every_address_gets_the_same_answer(context: Arc<Context>) {
    let ann = context.person().await;
    let known = ask(&context, &ann.email).await;
    assert_eq!(known.status, 202);
    for email in [format!("{}@example.com", new_name()), ann.email.to_uppercase()] {
        assert_eq!(ask(&context, &email).await.shape(), known.shape());
    }
    for bad in ["", "no address", "a@b"] {
        ask(&context, bad).await.fails_in(&["email"]);
    }
}

async fn a_token_works_once(context: Arc<Context>) {
    let ann = context.person().await;
    let token = asked_token(&context, &ann.email, 1).await;
    redeem(&context, &token, NEW).await.ok();
    redeem(&context, &token, "first-anchor-violin").await.fails(422, "invalid_mail_token");
    context.anonymous().log_in(&ann.email, NEW).await.ok();
}

async fn of_30_uses_at_once_one_succeeds(context: Arc<Context>) {
    let ann = context.person().await;
    let token = asked_token(&context, &ann.email, 1).await;
    let passwords: Vec<_> = (0..30).map(|number| format!("{NEW}-{number}")).collect();
    let answers = join_all(passwords.iter().map(|password| redeem(&context, &token, password))).await;
    let won: Vec<_> = (0..30).filter(|index| answers[*index].status == 200).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| [200, 422].contains(&answer.status.as_u16())), "{answers:?}");
    context.anonymous().log_in(&ann.email, &passwords[won[0]]).await.ok();
}

async fn a_newer_mail_voids_the_older(context: Arc<Context>) {
    let ann = context.person().await;
    let older = asked_token(&context, &ann.email, 1).await;
    let newer = asked_token(&context, &ann.email, 2).await;
    redeem(&context, &older, NEW).await.fails(422, "invalid_mail_token");
    redeem(&context, &newer, NEW).await.ok();
}

async fn a_guessable_password_does_not_use_the_token_up(context: Arc<Context>) {
    let ann = context.person().await;
    let token = asked_token(&context, &ann.email, 1).await;
    redeem(&context, &token, "short").await.fails_in(&["newPassword"]);
    let body = redeem(&context, &token, "password123!").await.fails(422, "password_too_common");
    assert!(body["fields"]["newPassword"].is_string(), "{body}");
    redeem(&context, &token, NEW).await.ok();
}

async fn a_token_of_another_purpose_resets_nothing(context: Arc<Context>) {
    let ann = context.person().await;
    let verification = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    redeem(&context, &verification, NEW).await.fails(422, "invalid_mail_token");
    let reset = asked_token(&context, &ann.email, 1).await;
    context.anonymous().put("/api/auth/email", &json!({ "token": reset })).await.fails(422, "invalid_mail_token");
    redeem(&context, &ann.token, NEW).await.fails(422, "invalid_mail_token");
    context.anonymous().put("/api/auth/email", &json!({ "token": verification })).await.ok();
}

async fn a_reset_verifies_the_address(context: Arc<Context>) {
    let ann = context.person().await;
    let token = asked_token(&context, &ann.email, 1).await;
    redeem(&context, &token, NEW).await.ok();
    let body = context.anonymous().log_in(&ann.email, NEW).await.ok();
    assert_eq!(body["user"]["isEmailVerified"], true);
}

async fn the_mail_goes_to_the_address_as_it_was_registered(context: Arc<Context>) {
    let name = new_name();
    let email = format!("{}@Example.com", name.to_uppercase());
    context.anonymous().register(&name, &email, PASSWORD).await.expect(201.try_into().expect("a status"));
    ask(&context, &email.to_lowercase()).await.expect(202.try_into().expect("a status"));
    assert_eq!(context.mail_to(&email, SUBJECT, 1).await.len(), 1);
}

async fn what_is_no_token_is_refused(context: Arc<Context>) {
    for token in ["", "x", &"A".repeat(43), &"A".repeat(1_000), "ä"] {
        redeem(&context, token, NEW).await.fails(422, "invalid_mail_token");
    }
    context.anonymous().put(ROUTE, &json!({})).await.fails_in(&["newPassword", "token"]);
    context.anonymous().put(ROUTE, &json!({ "token": "x", "newPassword": NEW, "email": "a@b.co" })).await.fails(400, "invalid_json");
}

async fn the_forwarded_host_is_in_no_link(context: Arc<Context>) {
    let ann = context.person().await;
    let mut texts = Vec::new();
    for forged in [false, true] {
        let mut request = context.anonymous().request(reqwest::Method::POST, ROUTE).json(&json!({ "email": ann.email }));
        if forged {
            for (name, value) in [
                ("X-Forwarded-Host", "evil.example"),
                ("X-Forwarded-Proto", "ftp"),
                ("Forwarded", "host=evil.example"),
                ("X-Original-Host", "evil.example"),
            ] {
                request = request.header(name, value);
            }
        }
        Answer::of(request).await.expect(202.try_into().expect("a status"));
        let mail = context.mail_to(&ann.email, SUBJECT, texts.len() + 1).await.pop().expect("a mail");
        texts.push(mail.text().replace(&mail.token().expect("a link"), "TOKEN"));
    }
    assert_eq!(texts[0], texts[1]);
}

async fn neither_host_nor_target_of_a_request_is_in_a_link(context: Arc<Context>) {
    let ann = context.person().await;
    let body = json!({ "email": ann.email }).to_string();
    for (target, count) in [(ROUTE.to_owned(), 1), (format!("http://evil.example{ROUTE}"), 2)] {
        let mut raw = Raw::connect(&context).await;
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        raw.say(&format!("{head}\r\nConnection: close\r\n\r\n{body}")).await;
        let answer = raw.hear().await;
        assert!(answer.starts_with("HTTP/1.1 202 "), "{target}: {answer}");
        let mail = context.mail_to(&ann.email, SUBJECT, count).await.pop().expect("a mail");
        assert!(!mail.content.contains("evil") && mail.text().contains(&format!("{}{ROUTE}#token=", context.url())), "{}", mail.content);
    }
}
