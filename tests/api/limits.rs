//! Sizes and times: what is too large or too slow is refused, and the connection ends where the rest was not read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::Answer;
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    bodies_have_a_largest_size,
    addresses_have_a_largest_size,
    heads_have_a_largest_size in ALONE,
    a_body_too_large_is_refused_unread_and_ends_the_connection in ALONE,
    what_is_slow_is_given_up in &["sqlite"],
    slow_bodies_keep_nobody_out in &["sqlite"],
    ambiguous_framing_is_never_a_success in ALONE,
    requests_sent_together_are_answered_in_their_order in ALONE,
);

async fn bodies_have_a_largest_size(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let padded = |size: usize, body: &str| format!("{}{body}", " ".repeat(size - body.len()));
    let friend = json!({ "friendId": bob.id }).to_string();
    let message = json!({ "recipientId": bob.id, "message": "hello" }).to_string();
    let cases = [
        ("/api/users/friends", padded(16 * 1024, &friend), 200),
        ("/api/users/friends", padded(16 * 1024 + 1, &friend), 413),
        ("/api/chat/send", padded(64 * 1024, &message), 200),
        ("/api/chat/send", padded(64 * 1024 + 1, &message), 413),
    ];
    for (path, body, status) in cases {
        let answer = Answer::of(ann.request(Method::POST, path).header("Content-Type", "application/json").body(body)).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        if status == 413 {
            answer.fails(413, "payload_too_large");
        }
    }
    assert_eq!(bob.messages("").await.len(), 1);
}

async fn addresses_have_a_largest_size(context: Arc<Context>) {
    let client = context.anonymous();
    client.get(&format!("/api/{}", "x".repeat(2_048 - 5))).await.fails(404, "not_found");
    client.get(&format!("/api/{}", "x".repeat(2_048 - 4))).await.fails(414, "uri_too_long");
    client.get(&format!("/api/health?{}", "x".repeat(1_025))).await.fails(414, "uri_too_long");
}

async fn heads_have_a_largest_size(context: Arc<Context>) {
    let get = || context.anonymous().request(Method::GET, "/api/users/profile");
    Answer::of(get().header("X-Large", "x".repeat(16 * 1024))).await.fails(431, "headers_too_large");
    let many = (0..65).fold(get(), |request, number| request.header(format!("X-Header-{number}"), "x"));
    Answer::of(many).await.fails(431, "headers_too_large");
    Answer::of(get().bearer_auth("x".repeat(4_096))).await.fails(401, "unauthorized");
}

/// How long something may take that is not to hang.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection over which a test says what it likes.
pub struct Raw(TcpStream);

impl Raw {
    pub async fn connect(context: &Context) -> Self {
        Self(TcpStream::connect(context.url().trim_start_matches("http://")).await.expect("a connection"))
    }

    pub async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("sent");
    }

    /// Everything until the other side closes.
    pub async fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        let end = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut heard)).await;
        // A reset after an answer is an end too.
        assert!(end.is_ok(), "the connection stays open: {}", String::from_utf8_lossy(&heard));
        String::from_utf8_lossy(&heard).into_owned()
    }
}

async fn a_body_too_large_is_refused_unread_and_ends_the_connection(context: Arc<Context>) {
    let begun = Instant::now();
    let declared = async {
        let mut raw = Raw::connect(&context).await;
        raw.say("POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{").await;
        raw.hear().await
    };
    let chunked = async {
        let mut raw = Raw::connect(&context).await;
        raw.say("POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
        let (mut reading, mut writing) = raw.0.into_split();
        let mut heard = Vec::new();
        // The client goes on sending whatever it is told, until nobody listens.
        let sending = async { while writing.write_all(chunk.as_bytes()).await.is_ok() && begun.elapsed() < PATIENCE {} };
        let (_sent, _read) = tokio::join!(sending, reading.read_to_end(&mut heard));
        String::from_utf8_lossy(&heard).into_owned()
    };
    let (declared, chunked) = tokio::join!(declared, chunked);
    assert!(declared.starts_with("HTTP/1.1 413 ") && declared.contains("payload_too_large"), "{declared}");
    assert!(chunked.is_empty() || chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
    assert!(begun.elapsed() < PATIENCE, "the connection does not end");
}

async fn what_is_slow_is_given_up(context: Arc<Context>) {
    let heard_after = async |text: &str| {
        let mut raw = Raw::connect(&context).await;
        raw.say(text).await;
        raw.hear().await
    };
    let head = heard_after("GET /api/health HTTP/1.1\r\nHos");
    let body = heard_after("POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    let (head, body) = tokio::join!(head, body);
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408 "), "{head}");
    assert!(body.starts_with("HTTP/1.1 408 ") && body.contains("request_timeout"), "{body}");
}

async fn slow_bodies_keep_nobody_out(context: Arc<Context>) {
    let ann = context.person().await;
    let mut slow = Vec::new();
    for _ in 0..600 {
        let mut raw = Raw::connect(&context).await;
        raw.say("POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{").await;
        slow.push(raw);
    }
    ann.profile().await;
    assert_eq!(slow.len(), 600, "more than there are places");
}

async fn ambiguous_framing_is_never_a_success(context: Arc<Context>) {
    let heads = [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\nConnection: close\r\n\r\ntext",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\nConnection: close\r\n\r\ntexts",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n b\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX Space: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\nX\0: a\r\n\r\n",
    ];
    for head in heads {
        let mut raw = Raw::connect(&context).await;
        raw.say(head).await;
        let heard = raw.hear().await;
        let is_refused = heard.is_empty() || heard.starts_with("HTTP/1.1 4");
        assert!(is_refused, "{head:?}: {heard}");
    }
}

async fn requests_sent_together_are_answered_in_their_order(context: Arc<Context>) {
    let mut raw = Raw::connect(&context).await;
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    raw.say(&[get("/api/health", ""), get("/api/nothing", ""), get("/", "Connection: close\r\n")].concat()).await;
    let heard = raw.hear().await;
    let found: Vec<_> = ["\"status\":\"ok\"", "not_found", "is running"].into_iter().map(|part| heard.find(part)).collect();
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{heard}");
}
