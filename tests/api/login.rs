//! `POST /api/auth/login` and `POST /api/auth/logout`: sessions begin and end.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Client, PASSWORD, text};
use crate::context::Context;
use crate::support::server::Server;
use crate::tests;

tests!(Context:
    a_login_answers_as_the_original_design_does,
    every_wrong_pair_gets_the_same_answer,
    a_login_needs_both_fields_and_no_other,
    a_logout_ends_its_session_and_no_other,
    a_logout_on_one_instance_is_seen_by_the_other in &["mongodb"],
    the_21st_login_ends_the_session_that_was_not_used_for_longest,
);

async fn a_login_answers_as_the_original_design_does(context: Arc<Context>) {
    let ann = context.person().await;
    let before = ann.profile().await;
    let login = context.anonymous().log_in(&ann.email.to_uppercase(), PASSWORD).await.ok();
    assert_eq!(login["message"], "Login successful");
    assert!(login["expiresAt"].is_string() && login["token"].is_string());
    for field in ["id", "username", "email", "isEmailVerified", "friends", "chats", "online_status"] {
        assert_eq!(login["user"][field], before[field], "{field}");
    }
    assert!(login["user"]["last_login"].as_str() >= before["last_login"].as_str());
}

async fn every_wrong_pair_gets_the_same_answer(context: Arc<Context>) {
    let ann = context.person().await;
    let long = "x".repeat(600);
    let pairs = [
        (ann.email.as_str(), "another-gravel-onion"),
        ("nobody-has@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        (&ann.email, ""),
        (&ann.email, &long),
        (&ann.email, "control\u{7}character"),
        (&ann.username, PASSWORD),
    ];
    let mut seen: Vec<Value> = Vec::new();
    for (email, password) in pairs {
        let mut body = context.anonymous().log_in(email, password).await.fails(401, "invalid_credentials");
        body["requestId"] = Value::Null;
        seen.push(body);
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

async fn a_login_needs_both_fields_and_no_other(context: Arc<Context>) {
    let client = context.anonymous();
    client.post("/api/auth/login", &json!({})).await.fails_in(&["email", "password"]);
    client.post("/api/auth/login", &json!({ "email": "a@b.com" })).await.fails_in(&["password"]);
    let wrong_shapes = [
        json!({ "email": "a@b.com", "password": "x", "isAdmin": true }),
        json!({ "email": ["a@b.com"], "password": "x" }),
        json!({ "email": { "$ne": null }, "password": { "$ne": null } }),
    ];
    for body in wrong_shapes {
        client.post("/api/auth/login", &body).await.fails(400, "invalid_json");
    }
}

async fn a_logout_ends_its_session_and_no_other(context: Arc<Context>) {
    let first = context.person().await;
    let second = first.log_in_again().await;
    assert_eq!(first.log_out().await.ok(), json!({ "message": "Logout successful" }));
    first.get("/api/users/profile").await.fails(401, "unauthorized");
    first.log_out().await.fails(401, "unauthorized");
    second.profile().await;
}

async fn a_logout_on_one_instance_is_seen_by_the_other(context: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let other = Server::start(&context.environment(), folder.path()).expect("a second instance");
    other.ready().await.expect("a store");
    let other_client = Client::new(other.url());
    let ann = context.person().await;
    for _ in 0..10 {
        let here = ann.log_in_again().await;
        let there = here.at(&other_client);
        there.profile().await;
        here.log_out().await.ok();
        there.get("/api/users/profile").await.fails(401, "unauthorized");
    }
}

async fn the_21st_login_ends_the_session_that_was_not_used_for_longest(context: Arc<Context>) {
    let first = context.person().await;
    let mut sessions = vec![first.clone()];
    for _ in 0..20 {
        sessions.push(first.log_in_again().await);
    }
    let mut live = 0;
    for session in &sessions {
        live += usize::from(session.get("/api/users/profile").await.status == StatusCode::OK);
    }
    assert_eq!(live, 20);
    first.get("/api/users/profile").await.fails(401, "unauthorized");
    assert_eq!(text(&sessions[20].profile().await["id"]), first.id, "the new one is never the one that goes");
}
