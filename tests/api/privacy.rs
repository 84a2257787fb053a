//! What nobody gets to see: others' addresses in answers, and anything that people typed in the log.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, new_name};
use crate::context::Context;
use crate::tests;

tests!(Context:
    an_address_is_shown_to_its_owner_only,
    what_people_type_is_neither_logged_nor_repeated_in_errors,
    every_line_of_the_log_is_one_json_object,
);

async fn an_address_is_shown_to_its_owner_only(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    bob.befriend(&ann).await.ok();
    bob.send(&ann, "hello").await.ok();
    let chat = format!("/api/chat/messages?with={}", bob.id);
    let body = json!({ "username": bob.username });
    let answers = [
        ann.get("/api/users/profile").await,
        ann.get("/api/chat/messages").await,
        ann.get(&chat).await,
        ann.send(&bob, "hello").await,
        ann.befriend(&bob).await,
        ann.put("/api/users/profile", &body).await,
    ];
    for answer in answers {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(&bob.email) && !text.contains("password") && !text.contains("$argon2"), "{text}");
    }
}

/// The forms in which something typed could turn up.
fn forms(typed: &str) -> [String; 4] {
    let percent = typed.bytes().fold(String::new(), |escaped, byte| format!("{escaped}%{byte:02X}"));
    [typed.to_owned(), STANDARD.encode(typed), URL_SAFE_NO_PAD.encode(typed), percent]
}

async fn what_people_type_is_neither_logged_nor_repeated_in_errors(context: Arc<Context>) {
    let canary = format!("canary{}", new_name());
    let ann = context.person().await;
    let mut answers = Vec::new();
    for path in ["/api/auth/register", "/api/auth/login", "/api/users/profile", "/api/users/friends", "/api/chat/send"] {
        for field in ["username", "email", "password", "friendId", "recipientId", "message", "clientId", "messagesFrom", &canary] {
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                answers.push(Answer::of(ann.request(method, path).json(&json!({ field: format!("{canary}\n{{")}))).await);
            }
        }
        answers.push(Answer::of(ann.request(Method::POST, path).header("Content-Type", "application/json").body(canary.clone())).await);
    }
    for path in [format!("/api/{canary}"), format!("/api/chat/messages?with={canary}"), format!("/api/chat/messages?{canary}=1")] {
        answers.push(ann.get(&path).await);
    }
    for name in ["Authorization", "Idempotency-Key", "Cookie", "User-Agent", "X-Forwarded-For", "Origin", "X-Request-Id"] {
        let request = context.anonymous().request(Method::POST, "/api/chat/send").header(name, format!("Bearer {canary}"));
        answers.push(Answer::of(request.json(&json!({}))).await);
    }
    // People make this mistake: the password in the field for the name.
    answers.push(context.anonymous().register(&canary, &format!("{canary}@example.com"), "short").await);
    answers.push(context.anonymous().log_in(&format!("{canary}@example.com"), &canary).await);
    answers.push(ann.get("/api/users/profile").await);
    let log = context.log().join("\n");
    let secrets = [canary.as_str(), &ann.token, ann.token.rsplit('.').next().expect("a signature"), &ann.email];
    for form in secrets.into_iter().flat_map(forms) {
        assert!(!log.contains(&form), "{form} stands in the log");
    }
    for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
        let body = String::from_utf8_lossy(&answer.body);
        assert!(forms(&canary).iter().all(|form| !body.contains(form.as_str())), "{body}");
    }
}

async fn every_line_of_the_log_is_one_json_object(context: Arc<Context>) {
    let request = context.anonymous().request(Method::GET, "/api/%1B%5B31m").header("User-Agent", "a\u{2028}b");
    Answer::of(request).await.fails(404, "not_found");
    let log = context.log();
    assert!(!log.is_empty());
    for line in log {
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line.len() <= 8 * 1024 && event.is_object(), "{line}");
        assert!(!line.contains(['\u{1b}', '\u{2028}']), "{line}");
    }
}
