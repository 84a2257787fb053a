//! The life of a session: how it ends, and for whom.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;

use crate::client::{Answer, Client, Person, names};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_logout_ends_the_session_at_once,
    the_other_sessions_live_on,
    a_second_logout_is_refused,
    a_logout_needs_a_token,
    a_logout_takes_no_notice_of_a_body,
    of_two_logouts_at_once_none_fails_otherwise,
    a_person_comes_back_after_a_logout,
    a_logout_on_another_instance_is_seen_at_once in &["mongodb"],
    a_login_on_another_instance_is_good_at_once in &["mongodb"],
    the_token_of_a_server_with_another_key_is_refused in &["mongodb"],
);

async fn a_logout_ends_the_session_at_once(context: Arc<Context>) {
    let ann = context.person().await;
    let body = ann.log_out().await.ok();
    assert_eq!(names(&body), ["message"]);
    assert_eq!(body["message"], "Logout successful");
    let refused = ann.get("/api/users/profile").await;
    assert_eq!(refused.header("www-authenticate"), r#"Bearer realm="chat", error="invalid_token""#);
    refused.fails(401, "unauthorized");
}

async fn the_other_sessions_live_on(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let again = ann.log_in_again().await;
    again.log_out().await.ok();
    assert_eq!(ann.profile().await["id"], ann.id.as_str());
    assert_eq!(bob.profile().await["id"], bob.id.as_str());
}

async fn a_second_logout_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    ann.log_out().await.ok();
    ann.log_out().await.fails(401, "unauthorized");
}

async fn a_logout_needs_a_token(context: Arc<Context>) {
    context.anonymous().post("/api/auth/logout", &json!({})).await.fails(401, "unauthorized");
}

async fn a_logout_takes_no_notice_of_a_body(context: Arc<Context>) {
    let ann = context.person().await;
    for body in ["{}", "no JSON", r#"{"token":"another"}"#] {
        let again = ann.log_in_again().await;
        let request = again.request(Method::POST, "/api/auth/logout").header("Content-Type", "application/json").body(body);
        Answer::of(request).await.ok();
        again.get("/api/users/profile").await.fails(401, "unauthorized");
    }
    assert_eq!(ann.profile().await["id"], ann.id.as_str());
}

async fn of_two_logouts_at_once_none_fails_otherwise(context: Arc<Context>) {
    let ann = context.person().await;
    let answers = <[Answer; 2]>::from(futures_util::join!(ann.log_out(), ann.log_out()));
    assert!(answers.iter().any(|answer| answer.status == 200), "{answers:?}");
    assert!(answers.iter().all(|answer| [200, 401].contains(&answer.status.as_u16())), "{answers:?}");
    ann.get("/api/users/profile").await.fails(401, "unauthorized");
}

async fn a_person_comes_back_after_a_logout(context: Arc<Context>) {
    let ann = context.person().await;
    ann.log_out().await.ok();
    let again = ann.log_in_again().await;
    assert_eq!(again.profile().await["id"], ann.id.as_str());
    ann.get("/api/users/profile").await.fails(401, "unauthorized");
}

async fn a_logout_on_another_instance_is_seen_at_once(context: Arc<Context>) {
    let (_folder, other) = context.another_instance().await;
    let ann = context.person().await;
    for _ in 0..5 {
        let again = ann.log_in_again().await;
        again.profile().await;
        again.at(&Client::new(other.url())).log_out().await.ok();
        again.get("/api/users/profile").await.fails(401, "unauthorized");
    }
}

async fn a_login_on_another_instance_is_good_at_once(context: Arc<Context>) {
    let (_folder, other) = context.another_instance().await;
    let other = Client::new(other.url());
    let ann = Person::register(&other).await;
    assert_eq!(ann.at(context.anonymous()).profile().await, ann.profile().await);
}

async fn the_token_of_a_server_with_another_key_is_refused(context: Arc<Context>) {
    let environment = context.environment().with("JWT_SECRET", "another key, that signs with 9876543210 instead");
    let (_folder, other) = context.instance_with(environment).await;
    let other = Client::new(other.url());
    let ann = context.person().await;
    let there = ann.at(&other);
    there.get("/api/users/profile").await.fails(401, "unauthorized");
    let there = there.log_in_again().await;
    assert_eq!(there.profile().await["id"], ann.id.as_str());
    there.at(context.anonymous()).get("/api/users/profile").await.fails(401, "unauthorized");
}
