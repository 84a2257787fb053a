//! Who may do what: every route with every kind of caller.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Answer, Client, PASSWORD, Person, text};
use crate::context::Context;
use crate::tests;

tests!(Context:
    every_route_has_a_row,
    every_route_answers_each_caller_as_its_row_says,
    a_closed_route_asks_for_a_token_before_it_looks_at_the_request,
    a_chat_of_others_is_as_one_that_never_was,
    a_cursor_of_somebody_else_opens_nothing,
    the_method_is_what_the_request_says,
    other_spellings_of_a_path_open_nothing,
);

/// Who calls, in the order of a row's answers. A friend is one whom the owner has added.
const CALLERS: [&str; 6] = ["no token", "bad token", "ended session", "stranger", "friend", "owner"];
const OPEN: [u16; 6] = [200; 6];
/// Open, and refused for its body: whoever calls comes that far.
const OPEN_AND_EMPTY: [u16; 6] = [422; 6];

/// A request about the owner, and the status that each caller gets. Rows run in their order, with one cast.
struct Row {
    method: Method,
    path: &'static str,
    query: fn(&Cast) -> String,
    body: fn(&Cast) -> Value,
    expected: [u16; 6],
}

fn row(method: Method, path: &'static str, expected: [u16; 6]) -> Row {
    Row { method, path, query: |_| String::new(), body: |_| Value::Null, expected }
}

impl Row {
    fn query(self, query: fn(&Cast) -> String) -> Self {
        Self { query, ..self }
    }

    fn body(self, body: fn(&Cast) -> Value) -> Self {
        Self { body, ..self }
    }
}

fn rows() -> Vec<Row> {
    let friend = |cast: &Cast| json!({ "friendId": cast.owner.id });
    vec![
        row(Method::GET, "/", OPEN),
        row(Method::GET, "/api/health", OPEN),
        row(Method::POST, "/api/auth/register", OPEN_AND_EMPTY).body(|_| json!({})),
        row(Method::POST, "/api/auth/login", OPEN_AND_EMPTY).body(|_| json!({})),
        row(Method::POST, "/api/auth/login", OPEN).body(|cast| json!({ "email": cast.owner.email, "password": PASSWORD })),
        row(Method::GET, "/api/users/profile", [401, 401, 401, 200, 200, 200]),
        row(Method::PUT, "/api/users/profile", [401, 401, 401, 200, 200, 200]).body(|_| json!({ "messagesFrom": "friends" })),
        row(Method::DELETE, "/api/users/friends", [401, 401, 401, 404, 200, 404]).body(friend),
        row(Method::POST, "/api/users/friends", [401, 401, 401, 200, 200, 422]).body(friend),
        row(Method::POST, "/api/chat/send", [401, 401, 401, 403, 200, 422])
            .body(|cast| json!({ "recipientId": cast.owner.id, "message": "hello" })),
        row(Method::GET, "/api/chat/messages", [401, 401, 401, 200, 200, 200]),
        row(Method::GET, "/api/chat/messages", [401, 401, 401, 404, 200, 200]).query(|cast| format!("?chatId={}", cast.chat)),
        row(Method::GET, "/api/chat/messages", [401, 401, 401, 200, 200, 200]).query(|cast| format!("?with={}", cast.owner.id)),
        // Ends the callers' sessions, so it stays last.
        row(Method::POST, "/api/auth/logout", [401, 401, 401, 200, 200, 200]),
    ]
}

/// The people of the table, and the chat of owner and friend.
struct Cast {
    anonymous: Client,
    ended: Person,
    stranger: Person,
    friend: Person,
    owner: Person,
    chat: String,
}

impl Cast {
    async fn meet(context: &Context) -> Self {
        let ((owner, friend), stranger) = futures_util::join!(context.pair(), context.person());
        owner.put("/api/users/profile", &json!({ "messagesFrom": "friends" })).await.ok();
        owner.befriend(&friend).await.ok();
        friend.befriend(&owner).await.ok();
        let chat = text(&friend.send(&owner, "for the two of us").await.ok()["chatId"]);
        let ended = owner.log_in_again().await;
        ended.log_out().await.ok();
        Self { anonymous: context.anonymous().clone(), ended, stranger, friend, owner, chat }
    }

    fn request(&self, caller: &str, method: &Method, path: &str) -> RequestBuilder {
        let person = match caller {
            "no token" => return self.anonymous.request(method.clone(), path),
            "bad token" => return self.anonymous.request(method.clone(), path).bearer_auth(format!("{}x", self.owner.token)),
            "ended session" => &self.ended,
            "stranger" => &self.stranger,
            "friend" => &self.friend,
            _ => &self.owner,
        };
        person.request(method.clone(), path)
    }
}

async fn every_route_has_a_row(_: Arc<Context>) {
    let rows: BTreeSet<_> = rows().iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let routes: BTreeSet<_> = chat_functions::gateway::routes().iter().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(rows, routes);
}

async fn every_route_answers_each_caller_as_its_row_says(context: Arc<Context>) {
    let cast = Cast::meet(&context).await;
    for row in rows() {
        let (query, body) = ((row.query)(&cast), (row.body)(&cast));
        let mut answered = Vec::new();
        for caller in CALLERS {
            let request = cast.request(caller, &row.method, &format!("{}{query}", row.path));
            let answer = Answer::of(if body.is_null() { request } else { request.json(&body) }).await;
            let challenge = if answer.status != 401 {
                ""
            } else if caller == "no token" {
                r#"Bearer realm="chat""#
            } else {
                r#"Bearer realm="chat", error="invalid_token""#
            };
            assert_eq!(answer.header("www-authenticate"), challenge, "{} {} by {caller}", row.method, row.path);
            answered.push(answer.status.as_u16());
        }
        assert_eq!(answered, row.expected, "{} {}{query} by {CALLERS:?}", row.method, row.path);
    }
}

async fn a_closed_route_asks_for_a_token_before_it_looks_at_the_request(context: Arc<Context>) {
    let closed: Vec<_> = rows().into_iter().filter(|row| row.expected[0] == 401).collect();
    assert!(closed.len() > 5, "most routes are closed");
    for row in closed {
        let request = |query: &str| context.anonymous().request(row.method.clone(), &format!("{}{query}", row.path));
        let bad = [
            request("").header("Content-Type", "application/json").body("{\"friendId\":"),
            request("").header("Content-Type", "application/json").body("{\"isAdmin\":true}"),
            request("").header("Content-Type", "text/plain").body("hello"),
            request("").header("Idempotency-Key", "not a key").json(&json!({})),
            request("?limit=0&limit=1&unknown=1"),
        ];
        for request in bad {
            let answer = Answer::of(request).await;
            assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="chat""#, "{} {}: {answer:?}", row.method, row.path);
            answer.fails(401, "unauthorized");
        }
    }
}

async fn a_chat_of_others_is_as_one_that_never_was(context: Arc<Context>) {
    let Cast { stranger, chat, .. } = Cast::meet(&context).await;
    let never = format!("{}{}", "0".repeat(32), "1".repeat(32));
    let mut answers = Vec::new();
    for chat in [chat, never] {
        let answer = stranger.get(&format!("/api/chat/messages?chatId={chat}")).await;
        let mut failure = answer.fails(404, "chat_not_found");
        failure["requestId"] = Value::Null;
        answers.push(failure);
    }
    assert_eq!(answers[0], answers[1]);
}

async fn a_cursor_of_somebody_else_opens_nothing(context: Arc<Context>) {
    let Cast { stranger, friend, owner, .. } = Cast::meet(&context).await;
    friend.send(&owner, "and another one").await.ok();
    let page = friend.get("/api/chat/messages?limit=1").await.ok();
    let cursor = text(&page["nextBefore"]);
    assert_eq!(friend.messages(&format!("?before={cursor}")).await.len(), 1, "the cursor leads the friend on");
    assert_eq!(stranger.messages(&format!("?before={cursor}")).await, Vec::<Value>::new());
    assert_eq!(stranger.messages(&format!("?with={}", owner.id)).await, Vec::<Value>::new());
}

async fn the_method_is_what_the_request_says(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let overrides = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];
    for header in overrides {
        let request = ann.request(Method::POST, "/api/users/friends?_method=DELETE").header(header, "DELETE");
        let answer = Answer::of(request.json(&json!({ "friendId": bob.id }))).await.ok();
        assert_eq!(answer["message"], "Friend added successfully", "{header}");
    }
    assert_eq!(ann.profile().await["friends"], json!([bob.id]));
}

async fn other_spellings_of_a_path_open_nothing(context: Arc<Context>) {
    let paths = [
        "/api/users/profile/",
        "/api//users/profile",
        "/api/users//profile",
        "/API/Users/Profile",
        "/api/users/%70rofile",
        "/api/users%2Fprofile",
        "/api/users/profile;x=1",
        "/api/users/profile%00",
        "/api/health/../users/profile",
        "/api/health/%2e%2e/users/profile",
    ];
    for path in paths {
        let status = context.anonymous().get(path).await.status.as_u16();
        assert!([400, 401, 404].contains(&status), "{path}: {status}");
    }
}
