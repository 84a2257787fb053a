//! `/api/auth/sessions`: where somebody is logged in.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, PASSWORD, Person, names, text, time};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_list_tells_each_session_from_the_others,
    a_list_opens_nothing,
    one_session_is_ended_by_its_id,
    all_others_are_ended_at_once,
    a_session_of_somebody_else_cannot_be_ended,
    the_current_session_may_be_ended_too,
    a_body_says_one_thing,
);

const ROUTE: &str = "/api/auth/sessions";

async fn sessions(person: &Person) -> Vec<Value> {
    person.get(ROUTE).await.ok()["sessions"].as_array().expect("a list").clone()
}

async fn own_id(person: &Person) -> String {
    let sessions = sessions(person).await;
    text(&sessions.iter().find(|session| session["current"] == true).expect("its own")["id"])
}

async fn log_in_as(person: &Person, program: &str) -> Person {
    let body = json!({ "email": person.email, "password": PASSWORD });
    let request = person.client.request(Method::POST, "/api/auth/login").header("User-Agent", program).json(&body);
    Person { token: text(&Answer::of(request).await.ok()["token"]), ..person.clone() }
}

async fn a_list_tells_each_session_from_the_others(context: Arc<Context>) {
    let ann = context.person().await;
    let phone = log_in_as(&ann, "Phone/1.0").await;
    let listed = sessions(&phone).await;
    assert_eq!(listed.len(), 2);
    for session in &listed {
        assert_eq!(names(session), ["createdAt", "current", "expiresAt", "id", "lastUsedAt", "userAgent"]);
        assert!(time(&session["createdAt"]) <= time(&session["lastUsedAt"]) && time(&session["lastUsedAt"]) < time(&session["expiresAt"]));
    }
    let current: Vec<_> = listed.iter().filter(|session| session["current"] == true).collect();
    assert_eq!((current.len(), &current[0]["userAgent"]), (1, &json!("Phone/1.0")));
    assert_ne!(own_id(&ann).await, own_id(&phone).await);
}

async fn a_list_opens_nothing(context: Arc<Context>) {
    let ann = context.person().await;
    let answer = format!("{:?}", ann.get(ROUTE).await);
    let secret = text(&crate::token_rules::part(&ann.token, 1)["sid"]);
    crate::canary::Canaries::default()
        .with(secret)
        .with(ann.token.split('.').nth(2).expect("a signature"))
        .are_absent_from(&answer, "a list");
}

async fn one_session_is_ended_by_its_id(context: Arc<Context>) {
    let ann = context.person().await;
    let (phone, tablet) = (ann.log_in_again().await, ann.log_in_again().await);
    let id = own_id(&phone).await;
    let body = ann.delete(ROUTE, &json!({ "sessionId": id })).await.ok();
    assert_eq!(body["message"], "Session ended successfully");
    phone.get("/api/users/profile").await.fails(401, "unauthorized");
    tablet.profile().await;
    assert_eq!(sessions(&ann).await.len(), 2);
    ann.delete(ROUTE, &json!({ "sessionId": id })).await.fails(404, "session_not_found");
}

async fn all_others_are_ended_at_once(context: Arc<Context>) {
    let ann = context.person().await;
    let others = [ann.log_in_again().await, ann.log_in_again().await];
    ann.delete(ROUTE, &json!({ "all": true })).await.ok();
    for other in others {
        other.get("/api/users/profile").await.fails(401, "unauthorized");
    }
    assert_eq!(sessions(&ann).await.len(), 1);
}

async fn a_session_of_somebody_else_cannot_be_ended(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let id = own_id(&ann).await;
    bob.delete(ROUTE, &json!({ "sessionId": id })).await.fails(404, "session_not_found");
    bob.delete(ROUTE, &json!({ "all": true })).await.ok();
    ann.profile().await;
}

async fn the_current_session_may_be_ended_too(context: Arc<Context>) {
    let ann = context.person().await;
    ann.delete(ROUTE, &json!({ "sessionId": own_id(&ann).await })).await.ok();
    ann.get("/api/users/profile").await.fails(401, "unauthorized");
}

async fn a_body_says_one_thing(context: Arc<Context>) {
    let ann = context.person().await;
    let id = "0".repeat(32);
    for body in [
        json!({}),
        json!({ "all": false }),
        json!({ "sessionId": id, "all": true }),
        json!({ "sessionId": "x" }),
        json!({ "sessionId": id.to_uppercase().replace('0', "A") }),
    ] {
        ann.delete(ROUTE, &body).await.fails_in(&["sessionId"]);
    }
    ann.delete(ROUTE, &json!({ "all": "true" })).await.fails(400, "invalid_json");
    ann.profile().await;
}
