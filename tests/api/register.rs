//! `POST /api/auth/register`.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::json;

use crate::client::{PASSWORD, Person, new_name};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_registration_answers_with_a_session_and_the_new_person,
    every_mistake_is_told_at_once_and_no_value_is_repeated,
    values_outside_their_rules_are_refused,
    names_and_addresses_are_taken_whatever_their_case,
    of_20_identical_registrations_one_succeeds,
);

/// The fields of the own user object, in the order of their names.
pub const USER_FIELDS: [&str; 10] =
    ["chats", "createdAt", "email", "friends", "id", "isEmailVerified", "last_login", "messagesFrom", "online_status", "username"];

async fn a_registration_answers_with_a_session_and_the_new_person(context: Arc<Context>) {
    let name = new_name();
    let email = format!("{name}@Example.com");
    let answer = context.anonymous().register(&name, &email, PASSWORD).await.expect(StatusCode::CREATED);
    assert_eq!(answer["message"], "Registration successful");
    let user = answer["user"].as_object().expect("a user");
    let mut fields: Vec<_> = user.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, USER_FIELDS);
    assert_eq!((&user["username"], &user["email"], &user["isEmailVerified"]), (&json!(name), &json!(email), &json!(false)));
    assert_eq!((&user["friends"], &user["chats"], &user["messagesFrom"]), (&json!([]), &json!([]), &json!("everyone")));
    let created = user["createdAt"].as_str().expect("a time");
    assert!(created.len() == 24 && created.ends_with('Z'), "RFC 3339 in UTC with milliseconds: {created}");
    let day = |time: &str| time[..10].to_owned();
    assert!(day(answer["expiresAt"].as_str().expect("a time")) > day(created));
}

async fn every_mistake_is_told_at_once_and_no_value_is_repeated(context: Arc<Context>) {
    let answer = context.anonymous().register("secret!name", "secret address", "secret").await;
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    answer.fails_in(&["email", "password", "username"]);
    context.anonymous().post("/api/auth/register", &json!({})).await.fails_in(&["email", "password", "username"]);
    context.anonymous().post("/api/auth/register", &json!({ "username": null })).await.fails_in(&["email", "password", "username"]);
}

async fn values_outside_their_rules_are_refused(context: Arc<Context>) {
    let long = |length: usize| "a".repeat(length);
    let names = ["ab", &long(33), "a..b", "-ab", "ab_", "a b", "ann\u{e9}", "admin", "Root", "a/b", "\u{212a}elvin", "a\nb"];
    let addresses = [
        "no-at",
        "a@b",
        "a@@b.com",
        "a b@c.com",
        "\"a\"@b.com",
        "a@[127.0.0.1]",
        "a@b.com\r\nBcc: x@y.z",
        "\u{e4}@b.com",
        "a@\u{e4}.com",
        &format!("{}@b.com", long(65)),
        &format!("a@{}.com", [long(60), long(60), long(60), long(60), long(60)].join(".")),
        "a@b.com(comment)",
        " a@b.com",
    ];
    for name in names {
        context.anonymous().register(name, "free@example.com", PASSWORD).await.fails_in(&["username"]);
    }
    for address in addresses {
        context.anonymous().register(&new_name(), address, PASSWORD).await.fails_in(&["email"]);
    }
}

async fn names_and_addresses_are_taken_whatever_their_case(context: Arc<Context>) {
    let ann = context.person().await;
    let (name, free) = (ann.username.to_uppercase(), format!("{}@example.com", new_name()));
    context.anonymous().register(&name, &free, PASSWORD).await.fails(409, "username_taken");
    context.anonymous().register(&new_name(), &ann.email.to_uppercase(), PASSWORD).await.fails(409, "email_taken");
    context.anonymous().register(&name, &ann.email, PASSWORD).await.fails(409, "username_taken");
}

async fn of_20_identical_registrations_one_succeeds(context: Arc<Context>) {
    let name = new_name();
    let email = format!("{name}@example.com");
    let all = (0..20).map(|_| context.anonymous().register(&name, &email, PASSWORD));
    let answers = futures_util::future::join_all(all).await;
    let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(created.len(), 1);
    for answer in refused {
        answer.fails(409, "username_taken");
    }
    let person = Person { email, ..context.person().await };
    person.log_in_again().await;
}
