//! `POST /api/auth/login`.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::client::{Answer, PASSWORD, Person, names, text, time};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_login_answers_as_the_original_design_says,
    the_session_of_a_login_ends_after_30_days,
    an_address_is_the_same_in_any_case,
    every_login_begins_a_session_of_its_own,
    a_login_moves_the_last_login,
    whatever_is_wrong_with_the_pair_the_answer_is_the_same,
    a_planted_hash_that_asks_for_too_much_is_not_evaluated,
    a_missing_field_is_told_by_name,
    bodies_of_another_shape_are_refused,
    the_client_program_is_noted_as_it_names_itself,
    the_21st_session_ends_the_least_recently_used,
    parallel_logins_leave_20_sessions,
);

const ROUTE: &str = "/api/auth/login";

async fn a_login_answers_as_the_original_design_says(context: Arc<Context>) {
    let ann = context.person().await;
    let body = context.anonymous().log_in(&ann.email, PASSWORD).await.ok();
    assert_eq!(names(&body), ["expiresAt", "message", "token", "user"]);
    assert_eq!(body["message"], "Login successful");
    let ann = Person { token: text(&body["token"]), ..ann };
    assert_eq!(body["user"], ann.profile().await, "the user is the own profile");
}

async fn the_session_of_a_login_ends_after_30_days(context: Arc<Context>) {
    let ann = context.person().await;
    let body = context.anonymous().log_in(&ann.email, PASSWORD).await.ok();
    assert_eq!(time(&body["expiresAt"]) - time(&body["user"]["last_login"]), Duration::days(30));
}

async fn an_address_is_the_same_in_any_case(context: Arc<Context>) {
    let ann = context.person().await;
    let body = context.anonymous().log_in(&ann.email.to_uppercase(), PASSWORD).await.ok();
    assert_eq!(body["user"]["id"], ann.id.as_str());
    assert_eq!(body["user"]["email"], ann.email.as_str(), "as it was registered, not as it was typed");
}

async fn every_login_begins_a_session_of_its_own(context: Arc<Context>) {
    let first = context.person().await;
    let second = first.log_in_again().await;
    assert_ne!(first.token, second.token);
    assert_eq!(first.profile().await, second.profile().await);
}

async fn a_login_moves_the_last_login(context: Arc<Context>) {
    let ann = context.person().await;
    let before = time(&ann.profile().await["last_login"]);
    // Checking the password takes longer than a time is exact.
    let after = time(&ann.log_in_again().await.profile().await["last_login"]);
    assert!(after > before, "{before} {after}");
    context.anonymous().log_in(&ann.email, "tulip-gravel-anion").await.fails(401, "invalid_credentials");
    assert_eq!(time(&ann.profile().await["last_login"]), after, "a failed login is none");
}

async fn whatever_is_wrong_with_the_pair_the_answer_is_the_same(context: Arc<Context>) {
    let ann = context.person().await;
    let long = "x".repeat(129);
    let pairs = [
        (ann.email.as_str(), "tulip-gravel-anion"),
        (&ann.email, "Tulip-gravel-onion"),
        (&ann.email, " tulip-gravel-onion"),
        (&ann.email, ""),
        (&ann.email, "x"),
        (&ann.email, "bell\u{7}inside"),
        (&ann.email, &long),
        ("nobody-here@example.com", PASSWORD),
        (&ann.username, PASSWORD),
        ("", PASSWORD),
        ("a@b", PASSWORD),
        ("ann@example.com\r\nx: y", PASSWORD),
    ];
    let mut seen: Option<(Value, String)> = None;
    for (email, password) in pairs {
        let answer = context.anonymous().log_in(email, password).await;
        let challenge = answer.header("www-authenticate").to_owned();
        let mut failure = answer.fails(401, "invalid_credentials");
        failure["requestId"] = Value::Null;
        let this = (failure, challenge);
        assert_eq!(*seen.get_or_insert_with(|| this.clone()), this, "{email:?} {password:?}");
    }
}

async fn a_planted_hash_that_asks_for_too_much_is_not_evaluated(context: Arc<Context>) {
    let (ann, database) = (context.person().await, context.database().await);
    // More memory than there is, and more passes than anybody lives to see.
    for cost in ["m=1073741824,t=2,p=1", "m=19456,t=4294967295,p=1"] {
        let hash = format!("$argon2id$v=19${cost}$c29tZXNhbHRzb21lc2FsdA$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY");
        database.db_set_password_hash(&ann, &hash).await;
        context.anonymous().log_in(&ann.email, PASSWORD).await.fails(401, "invalid_credentials");
    }
    ann.profile().await;
    let begun = Instant::now();
    while !context.log().iter().any(|line| line.contains("\"event\":\"password_hash_unusable\"")) {
        assert!(begun.elapsed() < std::time::Duration::from_mins(1), "the log does not tell of it");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn a_missing_field_is_told_by_name(context: Arc<Context>) {
    let fields = [
        (json!({}), vec!["email", "password"]),
        (json!({ "email": "ann@example.com" }), vec!["password"]),
        (json!({ "password": PASSWORD, "email": null }), vec!["email"]),
    ];
    for (body, missing) in fields {
        context.anonymous().post(ROUTE, &body).await.fails_in(&missing);
    }
}

async fn bodies_of_another_shape_are_refused(context: Arc<Context>) {
    let good = json!({ "email": "ann@example.com", "password": PASSWORD });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string()
    };
    let bad = [
        with("email", json!({ "$gt": "" })),
        with("password", json!({ "$ne": null })),
        with("password", json!(1)),
        with("email", json!(["ann@example.com"])),
        with("username", json!("ann")),
        with("sid", json!("0123456789abcdef0123456789abcdef")),
        json!(["ann@example.com", PASSWORD]).to_string(),
        format!(r#"{{"email":"ann@example.com","email":"bob@example.com","password":"{PASSWORD}"}}"#),
        good.to_string().replace('}', ""),
    ];
    for body in bad {
        context.anonymous().post_text(ROUTE, body).await.fails(400, "invalid_json");
    }
}

async fn the_client_program_is_noted_as_it_names_itself(context: Arc<Context>) {
    let ann = context.person().await;
    let long = "x".repeat(300);
    for (name, from_host) in
        [("Lamp/1.0 (Linux)".as_bytes(), 200), (b"caf\xe9/1", 400), ("caf\u{e9}/1".as_bytes(), 500), (long.as_bytes(), 200)]
    {
        let body = json!({ "email": ann.email, "password": PASSWORD });
        let request = context.anonymous().request(Method::POST, ROUTE).header("User-Agent", name).json(&body);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status.as_u16(), if context.is_alone() { 200 } else { from_host });
    }
    let noted = context.database().await.db_user_agents(&ann).await;
    let mut expected = vec![Some("Lamp/1.0 (Linux)".to_owned()), None, None, Some("x".repeat(256))];
    // The host answers by itself to what is not ASCII.
    expected.retain(|name| context.is_alone() || name.is_some());
    assert_eq!(noted[1..], expected);
}

/// Which of the tokens are still good.
async fn are_good(tokens: &[Person]) -> Vec<bool> {
    join_all(tokens.iter().map(|person| async { person.get("/api/users/profile").await.status == 200 })).await
}

async fn the_21st_session_ends_the_least_recently_used(context: Arc<Context>) {
    let mut sessions = vec![context.person().await];
    while sessions.len() < 20 {
        sessions.push(sessions[0].log_in_again().await);
    }
    assert_eq!(are_good(&sessions).await, [true; 20]);
    sessions.push(sessions[0].log_in_again().await);
    let good = are_good(&sessions).await;
    assert!(!good[0] && good[1..] == [true; 20], "only the first one has ended: {good:?}");
    sessions[0].get("/api/users/profile").await.fails(401, "unauthorized");
}

async fn parallel_logins_leave_20_sessions(context: Arc<Context>) {
    let ann = context.person().await;
    let sessions = join_all((0..24).map(|_| ann.log_in_again())).await;
    let good = are_good(&sessions).await.into_iter().filter(|good| *good).count();
    assert_eq!(good, 20);
}
