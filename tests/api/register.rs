//! `POST /api/auth/register`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::client::{PASSWORD, names, new_name, text, time};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_registration_answers_with_a_token_and_the_own_user,
    the_token_of_a_registration_is_good_at_once,
    the_session_ends_after_30_days,
    names_and_addresses_are_kept_as_they_were_written,
    the_longest_name_and_address_are_accepted,
    a_username_outside_its_rule_is_refused_by_name,
    an_email_outside_its_rule_is_refused_by_name,
    all_mistakes_are_told_at_once,
    a_missing_field_is_told_by_name,
    fields_that_the_route_does_not_have_are_refused,
    values_of_another_type_are_refused,
    a_taken_name_or_address_is_told_without_regard_to_case,
    fifty_identical_registrations_at_once_leave_one_account,
);

const ROUTE: &str = "/api/auth/register";

/// A body that would register, with one field changed.
fn body_with(field: &str, value: impl Into<Value>) -> Value {
    let name = new_name();
    let mut body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
    body[field] = value.into();
    body
}

async fn a_registration_answers_with_a_token_and_the_own_user(context: Arc<Context>) {
    let name = new_name();
    let email = format!("{name}@example.com");
    let body = context.anonymous().register(&name, &email, PASSWORD).await.expect(reqwest::StatusCode::CREATED);
    assert_eq!(names(&body), ["expiresAt", "message", "token", "user"]);
    assert_eq!(body["message"], "Registration successful");
    let user = &body["user"];
    assert!(!text(&user["id"]).is_empty());
    let created = time(&user["createdAt"]);
    assert!((OffsetDateTime::now_utc() - created).abs() < Duration::minutes(1), "{user}");
    let expected = json!({
        "id": user["id"], "username": name, "email": email, "isEmailVerified": false, "friends": [], "chats": [],
        "pendingEmail": null, "online_status": "online", "last_login": user["createdAt"], "messagesFrom": "everyone", "createdAt": user["createdAt"],
    });
    assert_eq!(*user, expected);
}

async fn the_token_of_a_registration_is_good_at_once(context: Arc<Context>) {
    let person = context.person().await;
    let profile = person.profile().await;
    assert_eq!((text(&profile["id"]), text(&profile["email"])), (person.id, person.email));
}

async fn the_session_ends_after_30_days(context: Arc<Context>) {
    let body = context.anonymous().post(ROUTE, &body_with("password", PASSWORD)).await.expect(reqwest::StatusCode::CREATED);
    assert_eq!(time(&body["expiresAt"]) - time(&body["user"]["createdAt"]), Duration::days(30));
}

async fn names_and_addresses_are_kept_as_they_were_written(context: Arc<Context>) {
    let name = new_name().to_uppercase();
    let email = format!("{name}+Chat@Example.COM");
    let body = context.anonymous().register(&name, &email, PASSWORD).await.expect(reqwest::StatusCode::CREATED);
    assert_eq!(body["user"]["username"], name);
    assert_eq!(body["user"]["email"], email);
}

async fn the_longest_name_and_address_are_accepted(context: Arc<Context>) {
    let name = format!("{:x<32}", new_name());
    let label = "d".repeat(63);
    let email = format!("{name:x<64}@{label}.{label}.{}.com", "d".repeat(57));
    assert_eq!((name.len(), email.len()), (32, 254), "the limits");
    let body = context.anonymous().register(&name, &email, PASSWORD).await.expect(reqwest::StatusCode::CREATED);
    assert_eq!((text(&body["user"]["username"]), text(&body["user"]["email"])), (name, email));
}

async fn a_username_outside_its_rule_is_refused_by_name(context: Arc<Context>) {
    let long = "x".repeat(33);
    let bad = [
        "",
        "ab",
        "   ",
        &long,
        "two words",
        "line\nbreak",
        "nul\0inside",
        "hash#mark",
        "at@sign",
        "sl/ash",
        "<script>",
        "$where",
        "jürgen",
        "ann\u{200b}lee",
        "\u{212a}elvin",
        "\u{ff41}\u{ff4e}\u{ff4e}",
        ".dot",
        "dot.",
        "-dash",
        "under_",
        "dots..two",
        "mixed._marks",
        "admin",
        "Root",
        "SYSTEM",
        "support",
        "null",
        "undefined",
    ];
    for username in bad {
        let failure = context.anonymous().post(ROUTE, &body_with("username", username)).await.fails_in(&["username"]);
        refuse_echo(&failure, username);
    }
}

async fn an_email_outside_its_rule_is_refused_by_name(context: Arc<Context>) {
    let long_local = format!("{}@example.org", "a".repeat(65));
    let long = format!("a@{}{}.com", "b.".repeat(124), "c".repeat(2));
    assert_eq!(long.len(), 256);
    let bad = [
        "",
        "a",
        "example.org",
        "@example.org",
        "ann@",
        "ann@localhost",
        "ann@@example.org",
        "ann@bob@example.org",
        "ann lee@example.org",
        "\"ann\"@example.org",
        "ann(comment)@example.org",
        "ann@[127.0.0.1]",
        "Ann <ann@example.org>",
        "ann@example.org\r\nBcc: bob@example.org",
        "ann\0@example.org",
        "ann@example..com",
        ".ann@example.org",
        "ann.@example.org",
        "a..nn@example.org",
        "ann@-example.org",
        "änn@example.org",
        "ann@exämple.com",
        "ann@example.org,bob@example.org",
        &long_local,
        &long,
    ];
    for email in bad {
        let failure = context.anonymous().post(ROUTE, &body_with("email", email)).await.fails_in(&["email"]);
        refuse_echo(&failure, email);
    }
}

/// What was sent must not come back. A text of a few characters may be part of any sentence.
#[track_caller]
fn refuse_echo(failure: &Value, value: &str) {
    let shown = failure.to_string();
    let escaped = json!(value).to_string();
    assert!(value.trim().len() < 6 || !shown.contains(escaped.trim_matches('"')), "{value:?} is in {shown}");
}

async fn all_mistakes_are_told_at_once(context: Arc<Context>) {
    context.anonymous().register("a", "b", "c").await.fails_in(&["email", "password", "username"]);
    context.anonymous().register("a", "ann@example.com", "c").await.fails_in(&["password", "username"]);
}

async fn a_missing_field_is_told_by_name(context: Arc<Context>) {
    context.anonymous().post(ROUTE, &json!({})).await.fails_in(&["email", "password", "username"]);
    for field in ["username", "email", "password"] {
        let mut body = body_with(field, Value::Null);
        context.anonymous().post(ROUTE, &body).await.fails_in(&[field]);
        body.as_object_mut().expect("an object").remove(field);
        context.anonymous().post(ROUTE, &body).await.fails_in(&[field]);
    }
}

async fn fields_that_the_route_does_not_have_are_refused(context: Arc<Context>) {
    let unknown = [
        "_id",
        "id",
        "isAdmin",
        "role",
        "isEmailVerified",
        "tokenVersion",
        "friends",
        "messagesFrom",
        "Username",
        "EMAIL",
        "user.name",
        "$set",
        "__proto__",
        "",
    ];
    for field in unknown {
        context.anonymous().post(ROUTE, &body_with(field, "everyone")).await.fails(400, "invalid_json");
    }
}

async fn values_of_another_type_are_refused(context: Arc<Context>) {
    for field in ["username", "email", "password"] {
        for value in [json!(12_345_678), json!(true), json!([PASSWORD]), json!({ "$ne": "" }), json!(0.5)] {
            context.anonymous().post(ROUTE, &body_with(field, value)).await.fails(400, "invalid_json");
        }
    }
    let name = new_name();
    let whole = [
        json!([name, "ann@example.com", PASSWORD]).to_string(),
        "null".to_owned(),
        " ".to_owned(),
        body_with("password", PASSWORD).to_string() + "{}",
        format!(r#"{{"username":"{name}","username":"{name}","email":"{name}@example.com","password":"{PASSWORD}"}}"#),
    ];
    for body in whole {
        context.anonymous().post_text(ROUTE, body).await.fails(400, "invalid_json");
    }
}

async fn a_taken_name_or_address_is_told_without_regard_to_case(context: Arc<Context>) {
    let ann = context.person().await;
    let (name, email) = (ann.username.to_uppercase(), ann.email.to_uppercase());
    let free = new_name();
    let free_email = format!("{free}@example.com");
    let attempts = [(&name, &free_email, "username_taken"), (&free, &email, "email_taken"), (&name, &email, "username_taken")];
    for (username, email, code) in attempts {
        let failure = context.anonymous().register(username, email, PASSWORD).await.fails(409, code);
        refuse_echo(&failure, username);
        refuse_echo(&failure, email);
    }
    assert_eq!(ann.profile().await["username"], ann.username.as_str(), "the first account is as it was");
}

async fn fifty_identical_registrations_at_once_leave_one_account(context: Arc<Context>) {
    let name = new_name();
    let email = format!("{name}@example.com");
    let answers = join_all((0..50).map(|_| context.anonymous().register(&name, &email, PASSWORD))).await;
    let mut statuses = BTreeMap::new();
    for answer in &answers {
        *statuses.entry(answer.status.as_u16()).or_insert(0) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(201, 1), (409, 49)]));
    let winner = answers.into_iter().find(|answer| answer.status == 201).expect("one").json();
    let login = context.anonymous().log_in(&email, PASSWORD).await.ok();
    assert_eq!(login["user"]["id"], winner["user"]["id"]);
}
