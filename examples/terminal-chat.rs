//! A chat client for the terminal, and the rules that a client of this API keeps. Each rule stands where it is kept: what to repeat
//! and when (`insist`), how a message is sent once (`send`), how none is missed or shown twice (`follow_chat`), how the list
//! stays true (`follow_list`). Try it in two terminals: `cargo run --example terminal-chat -- http://127.0.0.1:8080`

use std::convert::Infallible;
use std::time::Duration;

use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

/// How long an attempt may take: a line can die without a word. The server holds an answer back for at most 25 s.
const DEADLINE: Duration = Duration::from_secs(35);
/// The pause between polls: what happens meanwhile comes at once, and where a proxy drops `Prefer` this is no flood.
const BREATH: Duration = Duration::from_millis(200);

struct Chat {
    http: Client,
    api: String,
    token: String,
    /// The person that is talked to; null before there is one.
    peer: watch::Sender<Value>,
    show: Box<dyn Fn(&str) + Send + Sync>,
}

/// Serves one person until they quit: `typed` is what they type, line by line, and `show` takes the lines for them to read.
pub async fn run(server: &str, mut typed: mpsc::UnboundedReceiver<String>, show: Box<dyn Fn(&str) + Send + Sync>) -> Result<(), String> {
    let (http, api) = (Client::new(), format!("{}/api", server.trim_end_matches('/')));
    let mut chat = Chat { http, api, token: String::new(), peer: watch::Sender::new(Value::Null), show };
    chat.log_in(&mut typed).await?;
    (chat.show)("/list shows your chats, /talk NAME opens one, /quit ends; anything else is a message");
    let outcome = tokio::select! {
        () = chat.obey(&mut typed) => Ok(()),
        Err(reason) = chat.follow_peer() => Err(reason),
        Err(reason) = chat.follow_list() => Err(reason),
    };
    // Tried once: a session that cannot be ended now ends by itself when it is not used.
    let _answer = attempt(chat.request(Method::POST, "/auth/logout")).await;
    outcome
}

/// Asks once and reads the answer whole, because the line may be cut in the middle of it. A line that is down counts as a 503.
async fn attempt(request: RequestBuilder) -> (StatusCode, HeaderMap, Value) {
    let answer = async {
        let answer = request.send().await?;
        Ok((answer.status(), answer.headers().clone(), serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    };
    let is_down = |_: reqwest::Error| (StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), json!({ "message": "The line is down" }));
    answer.await.unwrap_or_else(is_down)
}

impl Chat {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api)).bearer_auth(&self.token).timeout(DEADLINE)
    }

    /// Repeats a request until the server has decided. Only what does no harm when it is done twice may be asked for like this: without
    /// an answer, or with a 5xx, nobody knows whether it was done. 429 and 503 tell in `Retry-After` when to come back; otherwise the
    /// pauses double, from half a second to half a minute. Chance spreads them, or all who lost a server would return together.
    async fn insist(&self, request: impl Fn() -> RequestBuilder) -> Result<(HeaderMap, Value), String> {
        let mut pause = Duration::from_millis(500);
        loop {
            let (status, headers, body) = attempt(request()).await;
            let reason = text(&body["message"]).to_owned() + &body.get("fields").map_or_else(String::new, |fields| format!(": {fields}"));
            if status == StatusCode::NOT_MODIFIED || (status.is_success() && body.is_object()) {
                return Ok((headers, body));
            } else if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                return Err(reason);
            }
            let asked = headers.get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok()).map_or(pause, Duration::from_secs);
            let wait = asked.max(pause) + pause * (getrandom::u32().unwrap_or(0) % 100) / 100;
            (self.show)(&format!("({reason}; trying again in {:.1} s)", wait.as_secs_f64()));
            tokio::time::sleep(wait).await;
            pause = Duration::from_secs(30).min(pause * 2);
        }
    }

    /// A registration whose answer was lost is told, when it is repeated, that the name is taken. It was done then: log in.
    async fn log_in(&mut self, typed: &mut mpsc::UnboundedReceiver<String>) -> Result<(), String> {
        while self.token.is_empty() {
            (self.show)("/login EMAIL PASSWORD or /register NAME EMAIL PASSWORD");
            let (path, body) = match typed.recv().await.ok_or("Not logged in")?.split_whitespace().collect::<Vec<_>>()[..] {
                ["/login", email, password] => ("/auth/login", json!({ "email": email, "password": password })),
                ["/register", who, email, password] => ("/auth/register", json!({ "username": who, "email": email, "password": password })),
                _ => continue,
            };
            match self.insist(|| self.request(Method::POST, path).json(&body)).await {
                Ok((_, body)) => text(&body["token"]).clone_into(&mut self.token),
                Err(reason) => (self.show)(&reason),
            }
        }
        Ok(())
    }

    /// Does what is typed, one line after the other, so that messages keep their order.
    async fn obey(&self, typed: &mut mpsc::UnboundedReceiver<String>) {
        while let Some(line) = typed.recv().await {
            let done = match line.trim().split_once(' ').unwrap_or((line.trim(), "")) {
                ("/quit", _) => return,
                ("/list", _) => self.list().await,
                ("/talk", name) => self.talk(name.trim()).await,
                ("", _) => Ok(()),
                _ => self.send(&line).await,
            };
            done.unwrap_or_else(|reason| (self.show)(&reason));
        }
    }

    async fn list(&self) -> Result<(), String> {
        let (_, list) = self.insist(|| self.request(Method::GET, "/chat/conversations")).await?;
        for chat in items(&list["conversations"]) {
            (self.show)(&format!("{}: {} messages, {} unread", text(&chat["user"]["username"]), chat["lastSeq"], chat["unread"]));
        }
        Ok(())
    }

    async fn talk(&self, name: &str) -> Result<(), String> {
        let (_, found) = self.insist(|| self.request(Method::GET, "/users/search").query(&[("username", name)])).await?;
        let person = items(&found["users"]).iter().find(|person| text(&person["username"]).eq_ignore_ascii_case(name));
        self.peer.send_replace(person.ok_or("There is nobody of that name")?.clone());
        (self.show)(&format!("You talk to {name}"));
        Ok(())
    }

    /// A message gets its `clientId` once, before the first attempt: however often it is sent, it is stored once. A client that keeps
    /// messages for later keeps their ids beside them.
    async fn send(&self, line: &str) -> Result<(), String> {
        let message = json!({ "recipientId": self.peer.borrow()["id"], "message": line, "clientId": uuid::Uuid::new_v4().to_string() });
        self.insist(|| self.request(Method::POST, "/chat/send").json(&message)).await.map(drop)
    }

    async fn follow_peer(&self) -> Result<Infallible, String> {
        let mut peer = self.peer.subscribe();
        loop {
            let person = peer.borrow_and_update().clone();
            tokio::select! {
                Err(reason) = self.follow_chat(&person), if !person.is_null() => return Err(reason),
                _another = peer.changed() => {}
            }
        }
    }

    /// Shows a chat, its newest messages first of all. `after` is the number of the last message that was shown, and moves when a
    /// page was shown, not when it was asked for: so a page that got lost comes again, and a message that was shown does not.
    /// Own messages come this way too, each in its place, and then they are stored.
    async fn follow_chat(&self, peer: &Value) -> Result<Infallible, String> {
        let messages = || self.request(Method::GET, "/chat/messages").query(&[("with", text(&peer["id"]))]);
        let ((_, mut page), mut after) = (self.insist(messages).await?, 0);
        loop {
            for message in items(&page["messages"]) {
                let sender = if message["senderId"] == peer["id"] { text(&peer["username"]) } else { "you" };
                // What others write must not steer the terminal.
                (self.show)(&format!("{sender}: {}", text(&message["content"]).replace(char::is_control, " ")));
            }
            if let Some(last) = items(&page["messages"]).last() {
                after = last["seq"].as_u64().unwrap_or(after);
                // A mark never moves back, so it does not matter how often it is set, nor in which order.
                let mark = &json!({ "chatId": last["chatId"], "readSeq": after });
                self.insist(|| self.request(Method::PUT, "/chat/conversations").json(mark)).await?;
            }
            tokio::time::sleep(BREATH).await;
            (_, page) = self.insist(|| messages().query(&[("after", after)]).header("Prefer", "wait=25")).await?;
        }
    }

    /// Tells who has written. `ETag` names the state of the list that is known; the server answers when it has another one, whatever
    /// happened in between. So nothing is missed, and nothing has to be counted or put in order.
    async fn follow_list(&self) -> Result<Infallible, String> {
        let (mut known, mut told) = (HeaderValue::from_static("\"nothing\""), Vec::new());
        loop {
            let request = || self.request(Method::GET, "/chat/conversations").header("Prefer", "wait=25");
            let (headers, list) = self.insist(|| request().header(IF_NONE_MATCH, &known)).await?;
            known = headers.get(ETAG).cloned().unwrap_or(known);
            let is_news = |chat: &&Value| chat["unread"] != 0 && chat["user"]["id"] != self.peer.borrow()["id"];
            let tell = |chat: &Value| format!("{} unread from {}", chat["unread"], text(&chat["user"]["username"]));
            let news: Vec<_> = items(&list["conversations"]).iter().filter(is_news).map(tell).collect();
            news.iter().filter(|line| !told.contains(*line)).for_each(|line| (self.show)(&format!("* {line}")));
            told = news;
            tokio::time::sleep(BREATH).await;
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let (typing, typed) = mpsc::unbounded_channel();
    // A thread of its own, because reading from a terminal cannot be given up.
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| typing.send(line)));
    run(&server, typed, Box::new(|line| println!("{line}"))).await
}
