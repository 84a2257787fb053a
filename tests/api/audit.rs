//! The log tells who did what to whom, under the id of the request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Answer, Client, PASSWORD, Person, new_name};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    what_people_do_to_accounts_is_told_with_actor_and_request,
    what_leads_to_an_account_and_back_into_it_is_told,
    whoever_fails_to_log_in_has_a_pseudonym,
    a_log_in_past_its_limit_is_told in ALONE,
    whom_something_was_done_to_is_told,
);

/// The event of a request, once it is in the log.
async fn event(context: &Context, name: &str, answer: &Answer) -> Value {
    event_in(|| context.log(), name, answer).await
}

async fn event_in(log: impl Fn() -> Vec<String>, name: &str, answer: &Answer) -> Value {
    let id = answer.header("x-request-id").to_owned();
    let begun = Instant::now();
    loop {
        // To parse the whole log of all tests takes longer than what is waited for.
        let lines = log().into_iter().filter(|line| line.contains(&id)).filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        if let Some(event) = lines.filter(|line| line["event"] == name).find(|line| line["request_id"] == id.as_str()) {
            assert_eq!(event["net"], "127.0.0.1", "{event}");
            return event;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{name} of {id} is not in the log");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn what_people_do_to_accounts_is_told_with_actor_and_request(context: Arc<Context>) {
    let ann = context.person().await;
    ann.log_in_again().await;
    let new = "maple-anchor-violin";
    let sessions = ann.get("/api/auth/sessions").await.ok()["sessions"].as_array().expect("a list").clone();
    let id = &sessions.iter().find(|session| session["current"] == false).expect("the phone's")["id"];
    let change = json!({ "currentPassword": PASSWORD, "newPassword": new });
    let address = json!({ "email": format!("{}@example.com", new_name()) });
    let own = [
        ("session_ended", ann.delete("/api/auth/sessions", &json!({ "sessionId": id })).await),
        ("other_sessions_ended", ann.delete("/api/auth/sessions", &json!({ "all": true })).await),
        ("password_changed", ann.put("/api/auth/password", &change).await),
        ("address_changed", ann.put("/api/users/profile", &address).await),
        ("account_deleted", ann.delete("/api/users/profile", &json!({ "password": new })).await),
    ];
    for (name, answer) in own {
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        assert_eq!(event(&context, name, &answer).await["actor"], ann.id.as_str(), "{name}");
    }
    let bob = context.verified_person().await;
    let new = format!("{}@example.com", new_name());
    let asked = bob.put("/api/users/profile", &json!({ "email": new })).await;
    assert_eq!(event(&context, "address_change_asked", &asked).await["actor"], bob.id.as_str());
    let link = context.mail_to(&new, "Confirm your", 1).await.remove(0).token();
    let moved = context.anonymous().put("/api/auth/email", &json!({ "token": link, "password": PASSWORD })).await;
    assert_eq!(event(&context, "address_changed", &moved).await["actor"], bob.id.as_str());
    let bob = context.person().await;
    let login = context.anonymous().log_in(&bob.email, PASSWORD).await;
    assert_eq!(event(&context, "logged_in", &login).await["actor"], bob.id.as_str());
    let logout = bob.log_out().await;
    assert_eq!(event(&context, "logged_out", &logout).await["actor"], bob.id.as_str());
}

async fn what_leads_to_an_account_and_back_into_it_is_told(context: Arc<Context>) {
    let (client, email) = (context.anonymous(), format!("{}@example.com", new_name()));
    let registered = client.register(&new_name(), &email, PASSWORD).await;
    let id = registered.json()["user"]["id"].clone();
    assert_eq!(event(&context, "registered", &registered).await["actor"], id);
    let token = context.mail_to(&email, "Confirm your", 1).await.remove(0).token();
    let verified = client.put("/api/auth/email", &json!({ "token": token })).await;
    assert_eq!(event(&context, "email_verified", &verified).await["actor"], id);
    let asked = client.post("/api/auth/password-reset", &json!({ "email": email })).await;
    let actor = event(&context, "password_reset_asked", &asked).await["actor"].clone();
    assert!(actor.as_str().is_some_and(|actor| actor.starts_with("address ")), "whoever asks may be anybody: {actor}");
    let token = context.mail_to(&email, "new password", 1).await.remove(0).token();
    let reset = client.put("/api/auth/password-reset", &json!({ "token": token, "newPassword": "maple-anchor-violin" })).await;
    assert_eq!(event(&context, "password_reset", &reset).await["actor"], id);
}

async fn whoever_fails_to_log_in_has_a_pseudonym(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let mut actors = Vec::new();
    for email in [&ann.email, &ann.email.to_uppercase(), &bob.email] {
        let failed = context.anonymous().log_in(email, "maple-anchor-violin").await;
        actors.push(event(&context, "login_failed", &failed).await["actor"].clone());
    }
    assert!(actors[0] == actors[1] && actors[0] != actors[2], "{actors:?}");
    assert!(actors[0].as_str().is_some_and(|actor| actor.starts_with("address ") && actor.len() == 24), "{actors:?}");
}

async fn a_log_in_past_its_limit_is_told(context: Arc<Context>) {
    let environment = context.environment().without("LIMITS").with("LIMIT_LOGIN_ACCOUNT_NET", "1/15m");
    let (_folder, server) = context.instance_with(environment).await;
    let (client, email) = (Client::new(server.url()), format!("{}@example.com", new_name()));
    let failed = client.log_in(&email, PASSWORD).await;
    let limited = client.log_in(&email, PASSWORD).await;
    assert_eq!(limited.status, 429);
    let actor = event_in(|| server.log(), "login_failed", &failed).await["actor"].clone();
    assert_eq!(event_in(|| server.log(), "login_limited", &limited).await["actor"], actor);
}

async fn whom_something_was_done_to_is_told(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let told = async |name: &str, actor: &Person, target: &Person, answer: Answer| {
        let event = event(&context, name, &answer).await;
        assert_eq!((&event["actor"], &event["target"]), (&json!(actor.id), &json!(target.id)), "{name}");
    };
    let user = json!({ "userId": bob.id });
    told("user_blocked", &ann, &bob, ann.post("/api/users/blocks", &user).await).await;
    told("message_refused", &bob, &ann, bob.send(&ann, "hello").await).await;
    told("friend_refused", &bob, &ann, bob.befriend(&ann).await).await;
    told("user_unblocked", &ann, &bob, ann.delete("/api/users/blocks", &user).await).await;
}
