//! The document of the API against the servers. That every answer of every test keeps it is checked where answers come in.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_functions::gateway;
use chat_functions::settings::Service;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, PASSWORD, Person, new_name, text};
use crate::context::Context;
use crate::support::browser::Browser;
use crate::support::server::Server;
use crate::tests;

tests!(Context:
    the_document_that_is_served_is_that_of_the_code,
    a_process_tells_of_the_routes_that_it_serves in &["sqlite"],
    every_success_is_seen_as_it_is_told,
    the_page_shows_every_route_and_tries_them,
);

const NEW_PASSWORD: &str = "maple-anchor-violin";
/// Successes that servers with these settings do not give.
const ELSEWHERE: [&str; 1] = ["POST /api/auth/register 202"];

fn document(services: &[Service]) -> Value {
    serde_json::to_value(gateway::document(services)).expect("JSON")
}

/// Every operation: its method, its path, and what is told of it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("methods").iter();
        methods.map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone())).collect::<Vec<_>>()
    };
    document["paths"].as_object().expect("paths").iter().flat_map(of_path).collect()
}

async fn the_document_that_is_served_is_that_of_the_code(context: Arc<Context>) {
    let answer = context.anonymous().get("/api/openapi.json").await;
    let tag = answer.header("etag").to_owned();
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.ok(), document(&Service::ALL));
    let again = context.anonymous().request(Method::GET, "/api/openapi.json").header("If-None-Match", tag);
    assert_eq!(Answer::of(again).await.status, StatusCode::NOT_MODIFIED);
}

async fn a_process_tells_of_the_routes_that_it_serves(context: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&context.environment().with("SERVICES", "auth"), folder.path()).expect("a server");
    let client = crate::client::Client::new(server.url());
    assert_eq!(client.get("/api/openapi.json").await.ok(), document(&[Service::Auth]));
}

/// Requests, and which successes they have seen.
#[derive(Default)]
struct Walk {
    seen: BTreeSet<String>,
}

impl Walk {
    async fn ask(&mut self, request: RequestBuilder) -> Answer {
        let asked = request.try_clone().and_then(|request| request.build().ok()).expect("a request");
        let answer = Answer::of(request).await;
        self.seen.insert(format!("{} {} {}", asked.method(), asked.url().path(), answer.status.as_u16()));
        answer
    }

    async fn get(&mut self, person: &Person, path: &str) -> Answer {
        self.ask(person.request(Method::GET, path)).await
    }

    async fn send(&mut self, person: &Person, method: Method, path: &str, body: &Value) -> Answer {
        self.ask(person.request(method, path).json(body)).await
    }
}

async fn every_success_is_seen_as_it_is_told(context: Arc<Context>) {
    let mut walk = Walk::default();
    let bob = context.person().await;
    let ann = begin(&mut walk, &context).await;
    meet(&mut walk, &ann, &bob).await;
    talk(&mut walk, &ann, &bob).await;
    manage_sessions(&mut walk, &context, &ann).await;
    leave(&mut walk, &context, &ann).await;
    let mut told = BTreeSet::new();
    for (method, path, operation) in operations(&document(&Service::ALL)) {
        let statuses = operation["responses"].as_object().expect("responses").keys().filter(|status| status.as_str() < "400");
        told.extend(statuses.map(|status| format!("{method} {path} {status}")));
    }
    let missing: Vec<_> = told.difference(&walk.seen).filter(|told| !ELSEWHERE.contains(&told.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The open routes, and an account.
async fn begin(walk: &mut Walk, context: &Context) -> Person {
    let client = context.anonymous();
    for path in ["/", "/api/health", "/api/docs", "/api/app", "/api/openapi.json", "/api/auth/email", "/api/auth/password-reset"] {
        let _any = walk.ask(client.request(Method::GET, path)).await;
    }
    let tag = client.get("/api/openapi.json").await.header("etag").to_owned();
    let known = walk.ask(client.request(Method::GET, "/api/openapi.json").header("If-None-Match", tag)).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    let (username, email) = (new_name(), format!("{}@example.com", new_name()));
    let account = json!({ "username": username, "email": email, "password": PASSWORD });
    walk.ask(client.request(Method::POST, "/api/auth/register").json(&account)).await.expect(StatusCode::CREATED);
    let login = client.request(Method::POST, "/api/auth/login").json(&json!({ "email": email, "password": PASSWORD }));
    let begun = walk.ask(login).await.ok();
    Person { client: client.clone(), id: text(&begun["user"]["id"]), username, email, token: text(&begun["token"]) }
}

/// The User service.
async fn meet(walk: &mut Walk, ann: &Person, bob: &Person) {
    let (friend, user) = (json!({ "friendId": bob.id }), json!({ "userId": bob.id }));
    walk.get(ann, "/api/users/profile").await.ok();
    walk.send(ann, Method::PUT, "/api/users/profile", &json!({ "messagesFrom": "everyone" })).await.ok();
    walk.send(ann, Method::POST, "/api/users/blocks", &user).await.ok();
    walk.get(ann, "/api/users/blocks").await.ok();
    walk.send(ann, Method::DELETE, "/api/users/blocks", &user).await.ok();
    walk.send(ann, Method::POST, "/api/users/friends", &friend).await.ok();
    walk.get(ann, "/api/users/friends").await.ok();
    walk.get(ann, &format!("/api/users/search?ids={},{}", bob.id, ann.id)).await.ok();
    walk.get(ann, &format!("/api/users/search?username={}", &bob.username[..5])).await.ok();
}

/// The Chat service, and what is kept of it all.
async fn talk(walk: &mut Walk, ann: &Person, bob: &Person) {
    let message = json!({ "recipientId": bob.id, "message": "hello", "clientId": "1" });
    let sent = walk.send(ann, Method::POST, "/api/chat/send", &message).await.ok();
    let replayed = walk.send(ann, Method::POST, "/api/chat/send", &message).await;
    assert_eq!(replayed.header("idempotency-replayed"), "true");
    bob.send(ann, "hello back").await.ok();
    walk.get(ann, "/api/chat/messages?limit=1").await.ok();
    walk.get(ann, &format!("/api/chat/messages?with={}&limit=1", bob.id)).await.ok();
    let waiting = ann.request(Method::GET, &format!("/api/chat/messages?with={}&after=1", bob.id)).header("Prefer", "wait=1");
    assert_eq!(walk.ask(waiting).await.header("preference-applied"), "wait=1");
    let list = walk.get(ann, "/api/chat/conversations").await;
    let known = ann.request(Method::GET, "/api/chat/conversations").header("If-None-Match", list.header("etag"));
    assert_eq!(walk.ask(known).await.status, StatusCode::NOT_MODIFIED);
    let mark = json!({ "chatId": sent["chatId"], "readSeq": 2 });
    walk.send(ann, Method::PUT, "/api/chat/conversations", &mark).await.ok();
    let mut page = walk.get(ann, "/api/users/export").await;
    while !page.header("x-next-cursor").is_empty() {
        page = walk.get(ann, &format!("/api/users/export?cursor={}", page.header("x-next-cursor"))).await;
    }
    let friend = json!({ "friendId": bob.id });
    walk.send(ann, Method::DELETE, "/api/users/friends", &friend).await.ok();
}

async fn manage_sessions(walk: &mut Walk, context: &Context, ann: &Person) {
    walk.get(ann, "/api/auth/sessions").await.ok();
    walk.send(ann, Method::DELETE, "/api/auth/sessions", &json!({ "all": true })).await.ok();
    walk.ask(ann.request(Method::POST, "/api/auth/email")).await.expect(StatusCode::ACCEPTED);
    let token = context.mail_to(&ann.email, "Confirm your", 2).await.pop().and_then(|mail| mail.token()).expect("a link");
    walk.send(ann, Method::PUT, "/api/auth/email", &json!({ "token": token })).await.ok();
    let change = json!({ "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD });
    walk.send(ann, Method::PUT, "/api/auth/password", &change).await.ok();
    let phone = Person { token: text(&context.anonymous().log_in(&ann.email, NEW_PASSWORD).await.ok()["token"]), ..ann.clone() };
    walk.ask(phone.request(Method::POST, "/api/auth/logout")).await.ok();
}

async fn leave(walk: &mut Walk, context: &Context, ann: &Person) {
    walk.send(ann, Method::POST, "/api/auth/password-reset", &json!({ "email": ann.email })).await.expect(StatusCode::ACCEPTED);
    let token = context.mail_to(&ann.email, "new password", 1).await.pop().and_then(|mail| mail.token()).expect("a link");
    let reset = json!({ "token": token, "newPassword": PASSWORD });
    walk.send(ann, Method::PUT, "/api/auth/password-reset", &reset).await.ok();
    let ann = Person { token: text(&context.anonymous().log_in(&ann.email, PASSWORD).await.ok()["token"]), ..ann.clone() };
    walk.send(&ann, Method::DELETE, "/api/users/profile", &json!({ "password": PASSWORD })).await.ok();
}

async fn the_page_shows_every_route_and_tries_them(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let ann = context.person().await;
    browser.open(&format!("{}/api/docs", context.url())).await;
    browser.wait_for_text("main", "/api/chat/send").await;
    for operation in operations(&document(&Service::ALL)) {
        assert!(browser.shows(&format!("#{}", text(&operation.2["operationId"]))).await, "{}", operation.1);
    }
    browser.type_into("#token", &ann.token).await;
    browser.press("#get_profile summary").await;
    browser.wait_for_text("#get_profile", "Try it").await;
    browser.press("#get_profile button").await;
    browser.wait_for_text("#get_profile pre[aria-live]", &ann.username).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
