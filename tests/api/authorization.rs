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

/// Who calls, in the order of a row's answers. The owner has added the friend, and blocked the blocked one.
const CALLERS: [&str; 7] = ["no token", "bad token", "ended session", "stranger", "friend", "blocked", "owner"];
/// Nobody's password.
const WRONG: &str = "maple-anchor-violin";
type Statuses = [u16; CALLERS.len()];
const OPEN: Statuses = [200; CALLERS.len()];
/// Open, and refused for its body: whoever calls comes that far.
const OPEN_AND_EMPTY: Statuses = [422; CALLERS.len()];
/// For everybody who is logged in.
const LOGGED_IN: Statuses = [401, 401, 401, 200, 200, 200, 200];

/// A request about the owner, and the status that each caller gets. Rows run in their order, with one cast.
struct Row {
    method: Method,
    path: &'static str,
    query: fn(&Cast) -> String,
    body: fn(&Cast) -> Value,
    expected: Statuses,
}

fn row(method: Method, path: &'static str, expected: Statuses) -> Row {
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
    let user = |cast: &Cast| json!({ "userId": cast.owner.id });
    vec![
        row(Method::GET, "/", OPEN),
        row(Method::GET, "/api/health", OPEN),
        row(Method::GET, "/api/openapi.json", OPEN),
        row(Method::GET, "/api/docs", OPEN),
        row(Method::GET, "/api/app", OPEN),
        row(Method::POST, "/api/auth/register", OPEN_AND_EMPTY).body(|_| json!({})),
        row(Method::POST, "/api/auth/login", OPEN_AND_EMPTY).body(|_| json!({})),
        row(Method::POST, "/api/auth/login", OPEN).body(|cast| json!({ "email": cast.owner.email, "password": PASSWORD })),
        row(Method::GET, "/api/auth/email", OPEN),
        row(Method::POST, "/api/auth/email", [401, 401, 401, 202, 202, 202, 202]),
        row(Method::PUT, "/api/auth/email", OPEN_AND_EMPTY).body(|_| json!({ "token": "no token that was ever sent" })),
        row(Method::GET, "/api/auth/password-reset", OPEN),
        row(Method::POST, "/api/auth/password-reset", [202; CALLERS.len()]).body(|cast| json!({ "email": cast.owner.email })),
        row(Method::PUT, "/api/auth/password-reset", OPEN_AND_EMPTY)
            .body(|_| json!({ "token": "no token that was ever sent", "newPassword": PASSWORD })),
        row(Method::PUT, "/api/auth/password", [401, 401, 401, 403, 403, 403, 403])
            .body(|_| json!({ "currentPassword": WRONG, "newPassword": PASSWORD })),
        row(Method::GET, "/api/auth/sessions", LOGGED_IN),
        row(Method::DELETE, "/api/auth/sessions", [401, 401, 401, 404, 404, 404, 404]).body(|_| json!({ "sessionId": "0".repeat(32) })),
        row(Method::DELETE, "/api/auth/sessions", [401, 401, 401, 404, 404, 404, 200]).body(|cast| json!({ "sessionId": cast.spare })),
        row(Method::GET, "/api/users/profile", LOGGED_IN),
        row(Method::PUT, "/api/users/profile", LOGGED_IN).body(|_| json!({ "messagesFrom": "friends" })),
        row(Method::DELETE, "/api/users/profile", [401, 401, 401, 403, 403, 403, 403]).body(|_| json!({ "password": WRONG })),
        row(Method::GET, "/api/users/friends", LOGGED_IN),
        row(Method::DELETE, "/api/users/friends", [401, 401, 401, 404, 200, 404, 404]).body(friend),
        row(Method::POST, "/api/users/friends", [401, 401, 401, 200, 200, 403, 422]).body(friend),
        row(Method::GET, "/api/users/search", LOGGED_IN).query(|cast| format!("?ids={}", cast.owner.id)),
        row(Method::GET, "/api/users/export", LOGGED_IN),
        row(Method::POST, "/api/chat/send", [401, 401, 401, 403, 200, 403, 422])
            .body(|cast| json!({ "recipientId": cast.owner.id, "message": "hello" })),
        row(Method::GET, "/api/chat/messages", LOGGED_IN),
        row(Method::GET, "/api/chat/messages", [401, 401, 401, 404, 200, 404, 200]).query(|cast| format!("?chatId={}", cast.chat)),
        row(Method::GET, "/api/chat/messages", LOGGED_IN).query(|cast| format!("?with={}", cast.owner.id)),
        row(Method::GET, "/api/chat/conversations", LOGGED_IN),
        row(Method::PUT, "/api/chat/conversations", [401, 401, 401, 404, 200, 404, 200])
            .body(|cast| json!({ "chatId": cast.chat, "readSeq": 1 })),
        // Undo friendships, so they stay behind what those decide.
        row(Method::POST, "/api/users/blocks", [401, 401, 401, 200, 200, 200, 422]).body(user),
        row(Method::GET, "/api/users/blocks", LOGGED_IN),
        row(Method::DELETE, "/api/users/blocks", [401, 401, 401, 200, 200, 200, 404]).body(user),
        // Ends the callers' sessions, so it stays last.
        row(Method::POST, "/api/auth/logout", LOGGED_IN),
    ]
}

/// The people of the table, and the chat of owner and friend.
struct Cast {
    anonymous: Client,
    ended: Person,
    stranger: Person,
    friend: Person,
    blocked: Person,
    owner: Person,
    chat: String,
    /// The id of a session of the owner's that nobody needs.
    spare: String,
}

impl Cast {
    async fn meet(context: &Context) -> Self {
        let ((owner, friend), (stranger, blocked)) = futures_util::join!(context.pair(), context.pair());
        owner.post("/api/users/blocks", &json!({ "userId": blocked.id })).await.ok();
        owner.put("/api/users/profile", &json!({ "messagesFrom": "friends" })).await.ok();
        owner.befriend(&friend).await.ok();
        friend.befriend(&owner).await.ok();
        let chat = text(&friend.send(&owner, "for the two of us").await.ok()["chatId"]);
        let ended = owner.log_in_again().await;
        ended.log_out().await.ok();
        let spare = owner.log_in_again().await;
        let sessions = spare.get("/api/auth/sessions").await.ok()["sessions"].as_array().expect("a list").clone();
        let spare = sessions.iter().find(|session| session["current"] == true).map(|session| text(&session["id"])).expect("its own");
        Self { anonymous: context.anonymous().clone(), ended, stranger, friend, blocked, owner, chat, spare }
    }

    fn request(&self, caller: &str, method: &Method, path: &str) -> RequestBuilder {
        let person = match caller {
            "no token" => return self.anonymous.request(method.clone(), path),
            "bad token" => return self.anonymous.request(method.clone(), path).bearer_auth(format!("{}x", self.owner.token)),
            "ended session" => &self.ended,
            "stranger" => &self.stranger,
            "friend" => &self.friend,
            "blocked" => &self.blocked,
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
