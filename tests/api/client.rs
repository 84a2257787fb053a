//! People who call the API, and the answers they get.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[path = "contract.rs"]
mod contract;

/// A password that every rule allows.
pub const PASSWORD: &str = "tulip-gravel-onion";

/// How long a request is repeated that the server is too busy for.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause before it is, which is shorter than servers ask for.
const PAUSE: Duration = Duration::from_millis(50);
/// Codes of refusals that last until somebody does something.
const LASTING: [&str; 2] = ["mail_unavailable", "storage_full"];

static COUNT: AtomicU64 = AtomicU64::new(0);

tokio::task_local! {
    static IS_ONCE: ();
}

/// What is asked for in here is asked for once: a server that is too busy for it is what a test looks at.
pub async fn once<T>(asking: impl Future<Output = T>) -> T {
    IS_ONCE.scope((), asking).await
}

/// A client program without an account. With several servers it goes to each in turn, request by request.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    turn: Arc<AtomicUsize>,
}

impl Client {
    pub fn new(url: &str) -> Self {
        Self::sending(url, HeaderMap::new())
    }

    /// One whose requests have these headers, such as a proxy adds.
    pub fn sending(url: &str, headers: HeaderMap) -> Self {
        Self::with(vec![url.to_owned()], headers)
    }

    /// One of several instances of an application.
    pub fn of_instances(urls: Vec<String>) -> Self {
        Self::with(urls, HeaderMap::new())
    }

    fn with(urls: Vec<String>, headers: HeaderMap) -> Self {
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { http: builder.default_headers(headers).build().expect("a client"), urls, turn: Arc::default() }
    }

    /// A request to a path such as `/api/auth/login`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = &self.urls[self.turn.fetch_add(1, Ordering::Relaxed) % self.urls.len()];
        self.http.request(method, format!("{url}{path}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(body)).await
    }

    /// A POST of a body as it is written here, be it JSON or not.
    pub async fn post_text(&self, path: &str, body: impl Into<String>) -> Answer {
        Answer::of(self.request(Method::POST, path).header("Content-Type", "application/json").body(body.into())).await
    }

    pub async fn register(&self, username: &str, email: &str, password: &str) -> Answer {
        self.post("/api/auth/register", &json!({ "username": username, "email": email, "password": password })).await
    }

    pub async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post("/api/auth/login", &json!({ "email": email, "password": password })).await
    }
}

/// A user name that nobody has, of `a-z0-9`.
pub fn new_name() -> String {
    format!("p{}x{}", COUNT.fetch_add(1, Ordering::Relaxed), &uuid::Uuid::new_v4().simple().to_string()[..12])
}

/// Somebody with an account and a token.
#[derive(Clone)]
pub struct Person {
    pub client: Client,
    pub id: String,
    pub username: String,
    pub email: String,
    pub token: String,
}

impl Person {
    pub async fn register(client: &Client) -> Self {
        let username = new_name();
        let email = format!("{username}@example.com");
        let body = client.register(&username, &email, PASSWORD).await.expect(StatusCode::CREATED);
        let (id, token) = (text(&body["user"]["id"]), text(&body["token"]));
        Self { client: client.clone(), id, username, email, token }
    }

    /// The same person with the token of a further session.
    pub async fn log_in_again(&self) -> Self {
        let body = self.client.log_in(&self.email, PASSWORD).await.ok();
        Self { token: text(&body["token"]), ..self.clone() }
    }

    /// The same person at another server.
    pub fn at(&self, client: &Client) -> Self {
        Self { client: client.clone(), ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, path).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn delete(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::DELETE, path).json(body)).await
    }

    pub async fn profile(&self) -> Value {
        self.get("/api/users/profile").await.ok()
    }

    pub async fn log_out(&self) -> Answer {
        Answer::of(self.request(Method::POST, "/api/auth/logout")).await
    }

    pub async fn befriend(&self, friend: &Person) -> Answer {
        self.post("/api/users/friends", &json!({ "friendId": friend.id })).await
    }

    pub async fn send(&self, recipient: &Person, message: &str) -> Answer {
        self.post("/api/chat/send", &json!({ "recipientId": recipient.id, "message": message })).await
    }

    /// Sends so many messages; gives their chat.
    pub async fn send_several(&self, recipient: &Person, count: usize) -> String {
        let mut chat = String::new();
        for number in 1..=count {
            chat = text(&self.send(recipient, &format!("message {number}")).await.ok()["chatId"]);
        }
        chat
    }

    /// Asks for what is behind a message of the chat with somebody, and waits for it.
    pub async fn poll_messages(&self, with: &Person, after: u64, seconds: u64) -> Answer {
        let path = format!("/api/chat/messages?with={}&after={after}", with.id);
        Answer::of(self.request(Method::GET, &path).header("Prefer", format!("wait={seconds}"))).await
    }

    /// Asks for a list of conversations other than the one with this tag, and waits for it.
    pub async fn poll_conversations(&self, tag: &str, seconds: u64) -> Answer {
        let request = self.request(Method::GET, "/api/chat/conversations").header("If-None-Match", tag);
        Answer::of(request.header("Prefer", format!("wait={seconds}"))).await
    }

    /// The tag of the present list of conversations.
    pub async fn conversations_tag(&self) -> String {
        self.get("/api/chat/conversations").await.header("etag").to_owned()
    }

    /// The messages of a page, such as `?limit=5`.
    pub async fn messages(&self, query: &str) -> Vec<Value> {
        let body = self.get(&format!("/api/chat/messages{query}")).await.ok();
        body["messages"].as_array().expect("a list of messages").clone()
    }

    /// The conversations of a page, such as `?limit=5`.
    pub async fn conversations(&self, query: &str) -> Vec<Value> {
        let body = self.get(&format!("/api/chat/conversations{query}")).await.ok();
        body["conversations"].as_array().expect("a list of conversations").clone()
    }

    pub async fn mark_read(&self, chat: &str, seq: u64) -> Answer {
        self.put("/api/chat/conversations", &json!({ "chatId": chat, "readSeq": seq })).await
    }
}

/// An answer, read whole.
#[must_use]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    /// As text, so that a failed test can be read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    /// The answer to a request, which is repeated as README tells clients to while the server is too busy for it.
    pub async fn of(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let (request, begun) = (request.expect("a request"), Instant::now());
        loop {
            let again = request.try_clone().expect("a body that can be sent again");
            let answer = Self::to_one(&client, again).await;
            if !answer.asks_to_be_repeated() || IS_ONCE.try_get().is_ok() || begun.elapsed() > PATIENCE {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The answer to one request. It must be one that the document of the API tells of.
    async fn to_one(client: &reqwest::Client, request: reqwest::Request) -> Self {
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = Box::pin(async {
            let response = client.execute(request).await.expect("an answer");
            let (status, headers) = (response.status(), response.headers().clone());
            Self { status, headers, body: response.bytes().await.expect("a whole body").to_vec() }
        })
        .await;
        contract::check(&method, &path, &answer);
        answer
    }

    /// A header's value; empty when the answer lacks it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of ASCII"))
    }

    /// Everything that a client could tell it from another answer by: all but the request's id and the date.
    pub fn shape(&self) -> (StatusCode, Vec<(String, String)>, String) {
        let headers = self.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
        let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned())).collect();
        headers.sort();
        let id = self.header("x-request-id");
        (self.status, headers, String::from_utf8_lossy(&self.body).replace(id, ""))
    }

    /// Whether the same request may fare better later.
    fn asks_to_be_repeated(&self) -> bool {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let is_lasting = LASTING.iter().any(|code| body["code"] == *code);
        self.status == StatusCode::SERVICE_UNAVAILABLE && !is_lasting
    }

    /// The JSON of the body.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of an answer that must have a status.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/json");
        self.json()
    }

    /// The JSON of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        self.expect(StatusCode::OK)
    }

    /// The envelope of a failure, which must be whole and have the status and code.
    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Value {
        let (id, challenge) = (self.header("x-request-id").to_owned(), self.headers.contains_key(WWW_AUTHENTICATE));
        let body = self.expect(StatusCode::from_u16(status).expect("a status"));
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["requestId"], id, "the body and the header name one request");
        assert!(!id.is_empty() && body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        let known = ["message", "code", "requestId", "fields"];
        assert!(body.as_object().expect("an object").keys().all(|key| known.contains(&key.as_str())), "{body}");
        assert_eq!(challenge, status == 401, "a challenge comes with 401 and only then");
        body
    }

    /// The failure of a validation that names exactly these fields.
    #[track_caller]
    pub fn fails_in(self, fields: &[&str]) -> Value {
        let body = self.fails(422, "validation_failed");
        let named: Vec<_> = body["fields"].as_object().expect("the fields").keys().map(String::as_str).collect();
        assert_eq!(named, fields, "{body}");
        body
    }
}

#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text was expected: {value}")).to_owned()
}

/// The names of an object's fields, in the order of the alphabet.
#[track_caller]
pub fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().unwrap_or_else(|| panic!("an object: {object}")).keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// A time, which must be written as the contract says.
#[track_caller]
pub fn time(value: &Value) -> OffsetDateTime {
    let text = text(value);
    assert!(text.len() == "2026-11-23T12:50:00.000Z".len() && text.ends_with('Z'), "milliseconds in UTC: {text}");
    OffsetDateTime::parse(&text, &Rfc3339).unwrap_or_else(|error| panic!("{text}: {error}"))
}
