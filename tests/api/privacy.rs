//! What nobody else gets to see: other people's addresses in answers, and anything private in errors and the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::canary::Canaries;
use crate::client::{Answer, Client, PASSWORD, Person, new_name, text, time};
use crate::context::{ALONE, Context};
use crate::support::server::Server;
use crate::support::smtp::ReceivedMail;
use crate::tests;
use crate::token_rules::part;

tests!(Context:
    a_canary_is_found_in_every_form,
    an_address_is_told_to_nobody_else,
    // Alone it is part of the most talkative log.
    what_people_send_is_in_no_error_and_no_log_line in &["host"],
    what_people_use_is_in_no_log_line,
    not_even_the_most_talkative_log_tells in ALONE,
    a_log_line_is_one_object_whatever_is_sent,
    a_request_is_logged_with_its_facts,
);

/// Every field that a body has somewhere.
const FIELDS: [&str; 15] = [
    "username",
    "email",
    "password",
    "messagesFrom",
    "friendId",
    "recipientId",
    "message",
    "clientId",
    "userId",
    "sessionId",
    "token",
    "currentPassword",
    "newPassword",
    "chatId",
    "readSeq",
];
/// Every parameter that a query has somewhere.
const PARAMETERS: [&str; 9] = ["with", "chatId", "before", "after", "limit", "username", "ids", "cursor", "token"];
/// Headers that are read by somebody on the way.
const HEADERS: [&str; 16] = [
    "Authorization",
    "Idempotency-Key",
    "User-Agent",
    "Cookie",
    "Content-Type",
    "Accept",
    "Accept-Language",
    "Origin",
    "Referer",
    "Prefer",
    "If-None-Match",
    "X-Request-Id",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Forwarded",
    "X-Unknown",
];
const LOGOUT: &str = "/api/auth/logout";

/// A text that is nowhere else.
fn canary() -> String {
    format!("canary{}", new_name())
}

/// What the text looks like when people type it into the wrong field, and when somebody means ill.
fn disguises(canary: &str) -> [String; 3] {
    [canary.to_owned(), format!("{canary}@example"), format!("\u{1b}[31m{canary}\r\n{{\"level\":\"error\"}}\u{2028}\"'\\ {canary}")]
}

async fn a_canary_is_found_in_every_form(_: Arc<Context>) {
    let secret = "tulip gravel?onion";
    let canaries = Canaries::default().with(secret);
    let forms = [
        secret.to_owned(),
        "tulip%20gravel%3Fonion".to_owned(),
        "%74%75%6c%69%70%20%67%72%61%76%65%6c%3f%6f%6e%69%6f%6e".to_owned(),
        STANDARD.encode(secret),
        STANDARD.encode(format!("a{secret}b")),
        STANDARD.encode(format!("ab{secret}cd")),
    ];
    for form in forms {
        assert!(canaries.found_in(&format!("{{\"cause\":\"{form}\"}}")).is_some(), "{form}");
    }
    assert_eq!(canaries.found_in("tulip gravel onion"), None);
}

async fn an_address_is_told_to_nobody_else(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let address = Canaries::default().with(&ann.email).with(ann.email.to_uppercase());
    assert!(address.found_in(&ann.profile().await.to_string()).is_some(), "its owner sees it");
    ann.befriend(&bob).await.ok();
    ann.send(&bob, "hello").await.ok();
    let (client, route) = (context.anonymous(), "/api/users/profile");
    let (wrong, taken) = ("tulip-gravel-anion", ann.email.to_uppercase());
    let answers = [
        bob.befriend(&ann).await,
        bob.send(&ann, "hello back").await,
        bob.get(route).await,
        bob.get("/api/chat/messages").await,
        bob.get(&format!("/api/chat/messages?with={}", ann.id)).await,
        bob.get("/api/chat/conversations").await,
        bob.put(route, &json!({ "username": ann.username })).await,
        bob.put(route, &json!({ "email": taken })).await,
        bob.delete("/api/users/friends", &json!({ "friendId": ann.id })).await,
        client.register(&ann.username, &format!("{}@example.com", new_name()), PASSWORD).await,
        client.register(&new_name(), &taken, PASSWORD).await,
        client.register("a", &ann.email, "b").await,
        client.log_in(&ann.email, wrong).await,
        client.post("/api/auth/login", &json!({ "email": ann.email })).await,
    ];
    for answer in answers {
        address.are_absent_from(&format!("{answer:?}"), "an answer to somebody else");
    }
}

/// A request to every method of every path, but for the log-out, which would end the session that the others need.
fn everywhere<'a>(person: &'a Person, suffix: &'a str) -> impl Iterator<Item = RequestBuilder> + 'a {
    let routes = chat_functions::gateway::routes().into_iter().filter(|(_, path)| *path != LOGOUT);
    routes.map(move |(method, path)| {
        let method = Method::from_bytes(method.as_str().as_bytes()).expect("a method");
        person.request(method, &format!("{path}{suffix}"))
    })
}

/// Sends a text in every field, parameter, header and path, to every route; no refusal may bring it back.
async fn send_everywhere(person: &Person, canary: &str) {
    let canaries = Canaries::default().with(canary);
    let mut requests = Vec::new();
    for disguise in disguises(canary) {
        for field in FIELDS {
            requests.extend(everywhere(person, "").map(|request| request.json(&json!({ field: disguise }))));
        }
        for parameter in PARAMETERS {
            requests.extend(everywhere(person, "").map(|request| request.query(&[(parameter, &disguise)])));
        }
        requests.extend(everywhere(person, "").map(|request| request.json(&json!({ disguise.as_str(): 1 }))));
        requests.extend(everywhere(person, "").map(|request| request.query(&[(&disguise, &disguise)])));
    }
    for header in HEADERS {
        requests.extend(everywhere(person, "").map(|request| request.header(header, format!("Bearer \"{canary}\" x"))));
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("{canary}:{canary}")));
    requests.extend(everywhere(person, "").map(|request| request.header("Authorization", &basic)));
    let broken =
        [canary.to_owned(), format!("{{\"message\":\"{canary}"), format!("[\"{canary}\"]"), format!("{{\"email\":\"{canary}\\ud800\"}}")];
    for body in broken {
        let as_json = |request: RequestBuilder| request.header("Content-Type", "application/json").body(body.clone());
        requests.extend(everywhere(person, "").map(as_json));
    }
    requests.extend(everywhere(person, &format!("/{canary}")).chain([person.request(Method::GET, &format!("/api/{canary}/x"))]));
    for request in requests {
        let answer = Answer::of(request).await;
        assert!(!answer.status.is_server_error(), "{answer:?}");
        if !answer.status.is_success() {
            canaries.are_absent_from(&format!("{answer:?}"), "a refusal");
        }
    }
}

/// The log once it tells of all requests answered so far.
async fn whole_log(client: &Client, log: impl Fn() -> Vec<String>) -> Vec<String> {
    let id = client.get("/api/health").await.header("x-request-id").to_owned();
    let begun = Instant::now();
    loop {
        let lines = log();
        if lines.iter().any(|line| line.contains(&id)) {
            return lines;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "the request {id} is not in the log");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn what_people_send_is_in_no_error_and_no_log_line(context: Arc<Context>) {
    let (person, canary) = (context.person().await, canary());
    send_everywhere(&person, &canary).await;
    for line in whole_log(context.anonymous(), || context.log()).await {
        Canaries::default().with(&canary).are_absent_from(&line, "a log line");
    }
}

async fn what_people_use_is_in_no_log_line(context: Arc<Context>) {
    let (id, canaries) = use_everything(&context, context.anonymous()).await;
    let lines = whole_log(context.anonymous(), || context.log()).await;
    assert!(lines.iter().any(|line| line.contains(&id)), "the log tells of her");
    for line in lines {
        canaries.are_absent_from(&line, "a log line");
    }
}

async fn not_even_the_most_talkative_log_tells(context: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&context.environment().with("RUST_LOG", "trace"), folder.path()).expect("a server");
    let client = Client::new(server.url());
    server.ready().await.expect("a store");
    let canary = canary();
    send_everywhere(&Person::register(&client).await, &canary).await;
    let canaries = use_everything(&context, &client).await.1.with(canary);
    let lines = whole_log(&client, || server.log()).await;
    assert!(lines.iter().any(|line| line.contains("\"level\":\"trace\"")), "the log is talkative");
    for line in lines {
        canaries.are_absent_from(&line, "a log line");
    }
}

/// Sets a password by the link in a mail; gives the tokens of all links that have come to the address.
async fn reset_by_mail(context: &Context, client: &Client, email: &str, password: &str) -> Vec<String> {
    let reset = context.mail_to(email, "new password", 1).await.pop().and_then(|mail| mail.token()).expect("a link");
    client.put("/api/auth/password-reset", &json!({ "token": reset, "newPassword": password })).await.ok();
    client.put("/api/auth/password-reset", &json!({ "token": reset, "newPassword": password })).await.fails(422, "invalid_mail_token");
    let mut tokens = vec![reset];
    tokens.extend(context.mail_to(email, "Confirm", 1).await.iter().filter_map(ReceivedMail::token));
    tokens
}

/// Somebody's whole life with the service: their id, and what of it is private.
async fn use_everything(context: &Context, client: &Client) -> (String, Canaries) {
    let (bob, canary) = (Person::register(client).await, canary());
    let (email, password) = (format!("mail-{canary}@example.com"), format!("pass {canary} word"));
    let body = client.register(&new_name(), &email, &password).await.expect(StatusCode::CREATED);
    let ann = Person { token: text(&body["token"]), id: text(&body["user"]["id"]), email, ..bob.clone() };
    let message = json!({ "recipientId": bob.id, "message": format!("text {canary}") });
    let send = ann.request(Method::POST, "/api/chat/send").header("Idempotency-Key", format!("id-{canary}"));
    Answer::of(send.json(&message)).await.ok();
    bob.get("/api/chat/messages").await.ok();
    let first = ann.token.clone();
    client.log_in(&ann.email, &format!("{password}!")).await.fails(401, "invalid_credentials");
    let new_password = format!("new {canary} word");
    let change = json!({ "currentPassword": password, "newPassword": new_password });
    ann.put("/api/auth/password", &change).await.ok();
    ann.put("/api/auth/password", &change).await.fails(403, "wrong_password");
    client.post("/api/auth/password-reset", &json!({ "email": ann.email })).await.expect(StatusCode::ACCEPTED);
    let links = reset_by_mail(context, client, &ann.email, &password).await;
    let again = text(&client.log_in(&ann.email, &password).await.ok()["token"]);
    let ann = Person { token: again.clone(), ..ann };
    ann.put("/api/users/profile", &json!({ "email": format!("new-{}", ann.email) })).await.ok();
    ann.log_out().await.ok();
    ann.log_out().await.fails(401, "unauthorized");
    let session = |token: &str| text(&part(token, 1)["sid"]);
    let mut canaries = links.into_iter().fold(Canaries::default().with(canary), Canaries::with);
    for token in [&first, &again] {
        canaries = token.split('.').skip(1).fold(canaries, Canaries::with).with(session(token));
    }
    (ann.id, canaries)
}

async fn a_log_line_is_one_object_whatever_is_sent(context: Arc<Context>) {
    let person = context.person().await;
    let long = "x".repeat(1_000);
    let tail = format!("%0A%1B%E2%80%A8{long}");
    let odd = format!("\u{1b}[2J\n\r\0\u{85}\u{2028}\u{2029}\"\\{}", "é".repeat(6_000));
    let mut requests: Vec<_> = everywhere(&person, &format!("?{tail}")).collect();
    requests.extend(everywhere(&person, "").map(|request| request.json(&json!({ "email": odd, "message": odd, "\u{2028}\n\0": odd }))));
    requests
        .extend(everywhere(&person, "").map(|request| request.header("User-Agent", long.repeat(7)).header("X-Request-Id", "{\"a\":1}")));
    requests.push(person.request(Method::GET, &format!("/api/{tail}")));
    requests.push(person.request(Method::from_bytes(&long.as_bytes()[..200]).expect("a method"), "/api/health"));
    for request in requests {
        let answer = Answer::of(request).await;
        assert!(!answer.status.is_server_error(), "{answer:?}");
    }
    for line in whole_log(context.anonymous(), || context.log()).await {
        assert!(line.starts_with('{') && line.len() < 8 * 1_024, "{} bytes: {line}", line.len());
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        time(&event["time"]);
        assert!(["level", "event", "message"].iter().all(|name| event[name].is_string()), "{line}");
    }
}

async fn a_request_is_logged_with_its_facts(context: Arc<Context>) {
    let ann = context.person().await;
    let answer = ann.get("/api/chat/messages?limit=7").await;
    let id = answer.header("x-request-id").to_owned();
    answer.ok();
    let lines = whole_log(context.anonymous(), || context.log()).await;
    let events: Vec<Value> = lines.iter().filter(|line| line.contains(&id)).filter_map(|line| serde_json::from_str(line).ok()).collect();
    let own: Vec<_> = events.iter().filter(|event| event["request_id"] == id.as_str()).collect();
    assert_eq!(own.len(), 1, "one line a request: {own:?}");
    let facts =
        json!({ "event": "request", "level": "info", "method": "GET", "route": "/api/chat/messages", "status": 200, "user": ann.id });
    for (name, value) in facts.as_object().expect("facts") {
        assert_eq!(own[0][name], *value, "{}", own[0]);
    }
    assert!(own[0]["ms"].as_f64().is_some_and(|ms| ms >= 0.0) && own[0]["net"].is_string(), "{}", own[0]);
    assert!(own[0]["time"].is_string() && own[0]["instance"].is_string(), "{}", own[0]);
}
