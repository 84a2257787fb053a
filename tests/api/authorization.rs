//! Who may do what: every route with every kind of caller. A route without a row fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_functions::gateway;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Person};
use crate::context::Context;
use crate::tests;

tests!(Context:
    every_route_answers_every_caller_as_the_matrix_says,
    an_open_route_is_one_of_a_short_list,
    a_missing_token_is_told_before_anything_else_is_looked_at,
);

/// The routes that need no token.
const OPEN: [(&str, &str); 4] = [("GET", "/"), ("GET", "/api/health"), ("POST", "/api/auth/register"), ("POST", "/api/auth/login")];

/// A route with what a person with a live session gets.
struct Row {
    method: Method,
    path: &'static str,
    query: String,
    body: Option<Value>,
    status: u16,
}

/// A row for each guarded route and each relation of the caller to Bob, who takes messages from friends only.
fn rows(friend: &Person, bob: &Person, chat: &str, is_friend: bool) -> Vec<Row> {
    let row = |method, path, query: &str, body, status| Row { method, path, query: query.to_owned(), body, status };
    let send = json!({ "recipientId": bob.id, "message": "hello" });
    vec![
        row(Method::GET, "/api/users/profile", "", None, 200),
        row(Method::PUT, "/api/users/profile", "", Some(json!({ "messagesFrom": "everyone" })), 200),
        row(Method::POST, "/api/users/friends", "", Some(json!({ "friendId": bob.id })), 200),
        row(Method::DELETE, "/api/users/friends", "", Some(json!({ "friendId": bob.id })), 200),
        row(Method::POST, "/api/chat/send", "", Some(send), if is_friend { 200 } else { 403 }),
        row(Method::GET, "/api/chat/messages", &format!("?with={}", friend.id), None, 200),
        row(Method::GET, "/api/chat/messages", &format!("?chatId={chat}"), None, if is_friend { 200 } else { 404 }),
        row(Method::POST, "/api/auth/logout", "", None, 200),
    ]
}

async fn ask(person: &Person, row: &Row) -> Answer {
    let request = person.request(row.method.clone(), &format!("{}{}", row.path, row.query));
    Answer::of(match &row.body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

async fn every_route_answers_every_caller_as_the_matrix_says(context: Arc<Context>) {
    let ((friend, bob), stranger) = (context.pair().await, context.person().await);
    bob.befriend(&friend).await.ok();
    bob.put("/api/users/profile", &json!({ "messagesFrom": "friends" })).await.ok();
    let chat = crate::client::text(&bob.send(&friend, "hello").await.ok()["chatId"]);
    let ended = friend.log_in_again().await;
    ended.log_out().await.ok();
    let nobody = Person { token: String::new(), ..friend.clone() };
    let forged = Person { token: friend.token.replace('.', ".e30"), ..friend.clone() };
    for refused in [&nobody, &forged, &ended] {
        for row in rows(&friend, &bob, &chat, true) {
            ask(refused, &row).await.fails(401, "unauthorized");
        }
    }
    for (caller, is_friend) in [(&stranger, false), (&friend, true)] {
        for row in rows(&friend, &bob, &chat, is_friend) {
            assert_eq!(ask(caller, &row).await.status.as_u16(), row.status, "{} {}{}", row.method, row.path, row.query);
        }
    }
    let covered: BTreeSet<_> = rows(&friend, &bob, &chat, true).iter().map(|row| (row.method.to_string(), row.path)).collect();
    let open = OPEN.map(|(method, path)| (method.to_owned(), path));
    let all: BTreeSet<_> = gateway::routes().into_iter().map(|(method, path)| (method.to_string(), path)).collect();
    assert_eq!(covered.into_iter().chain(open).collect::<BTreeSet<_>>(), all, "every route has a row");
}

async fn an_open_route_is_one_of_a_short_list(context: Arc<Context>) {
    for (method, path) in gateway::routes() {
        let is_open = OPEN.contains(&(method.as_str(), path));
        let method = Method::from_bytes(method.as_str().as_bytes()).expect("a method");
        let answer = Answer::of(context.anonymous().request(method.clone(), path)).await;
        assert_eq!(answer.status == 401, !is_open, "{method} {path}: {answer:?}");
    }
}

async fn a_missing_token_is_told_before_anything_else_is_looked_at(context: Arc<Context>) {
    for body in ["{", "", "[]", "{\"recipientId\":\"x\"}"] {
        let request = context.anonymous().request(Method::POST, "/api/chat/send").body(body);
        Answer::of(request).await.fails(401, "unauthorized");
    }
    context.anonymous().get("/api/chat/messages?limit=zzz").await.fails(401, "unauthorized");
}
