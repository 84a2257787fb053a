//! Requests that mean nothing: each is refused for what it is, and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::play::{Expected, Play, Told, UNAUTHORIZED};
use super::step::Caller;

/// A request, and what it is told.
struct Mistake {
    method: Method,
    path: &'static str,
    body: Option<Value>,
    expected: Expected,
}

/// One of the mistakes that there are.
fn mistake(number: u8) -> Mistake {
    let get = |path, expected| Mistake { method: Method::GET, path, body: None, expected };
    let send = |method, path, body, expected| Mistake { method, path, body: Some(body), expected };
    let wrong = |fields: &[&'static str]| Expected::FailsIn(fields.to_vec());
    let (invalid_json, invalid_query) = (Expected::Fails(400, "invalid_json"), Expected::Fails(400, "invalid_query"));
    let id = "0".repeat(32);
    match number % 20 {
        0 => get("/api/chat/messages?limit=0", wrong(&["limit"])),
        1 => get("/api/chat/messages?limit=101", wrong(&["limit"])),
        2 => get("/api/chat/messages?after=1", wrong(&["after"])),
        3 => get("/api/chat/messages?before=1", wrong(&["before"])),
        4 => get("/api/chat/messages?with=x&before=y&after=z", wrong(&["after", "before", "with"])),
        5 => get("/api/chat/messages?limit=1&limit=1", invalid_query),
        6 => get("/api/chat/conversations?limit=101", wrong(&["limit"])),
        7 => get("/api/chat/conversations?before=AAAA", wrong(&["before"])),
        8 => get("/api/chat/conversations?after=1", invalid_query),
        9 => get("/api/users/search?username=a", wrong(&["username"])),
        10 => get("/api/nothing", Expected::Fails(404, "not_found")),
        11 => send(Method::POST, "/api/chat/conversations", json!({}), Expected::Fails(405, "method_not_allowed")),
        12 => send(Method::PUT, "/api/chat/conversations", json!({}), wrong(&["chatId", "readSeq"])),
        13 => send(Method::PUT, "/api/chat/conversations", json!({ "chatId": id, "readSeq": "1" }), invalid_json),
        14 => send(Method::PUT, "/api/chat/conversations", json!({ "chatId": id, "readSeq": -1 }), wrong(&["chatId", "readSeq"])),
        15 => send(Method::POST, "/api/chat/send", json!({ "recipientId": id }), wrong(&["message"])),
        16 => send(
            Method::POST,
            "/api/chat/send",
            json!({ "recipientId": id, "message": " ", "clientId": "a b" }),
            wrong(&["clientId", "message"]),
        ),
        17 => send(Method::POST, "/api/chat/send", json!({ "recipientId": id, "message": "a", "seq": 1 }), invalid_json),
        18 => send(Method::PUT, "/api/users/profile", json!({}), wrong(&["email", "messagesFrom", "username"])),
        _ => send(Method::DELETE, "/api/auth/sessions", json!({ "all": false }), wrong(&["sessionId"])),
    }
}

impl Play<'_> {
    pub(super) async fn err(&self, by: Caller, number: u8) -> Told {
        let (bearer, mistake) = (self.world.bearer(by), mistake(number));
        let answer = self.ask(&bearer, mistake.method, mistake.path, mistake.body.as_ref()).await;
        let is_open = matches!(mistake.expected, Expected::Fails(404 | 405, _));
        let expected = if bearer.token.is_none() && !is_open { UNAUTHORIZED } else { mistake.expected };
        expected.check(&answer).map(drop)
    }
}
