//! Clients vanish in the middle of a request.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, Person};
use crate::{Context, PATIENCE, tests};

tests!(Context:
    clients_that_vanish_leave_nothing_half_done,
    thousands_of_connections_that_ask_nothing_keep_nobody_out,
);

const VANISHING: usize = 200;
/// How long a connection is kept that has nothing more to ask.
const KEPT_ALIVE: Duration = Duration::from_secs(75);

async fn clients_that_vanish_leave_nothing_half_done(context: Arc<Context>) {
    let site = context.site();
    let server = site.start_ready().await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    let address = server.url().trim_start_matches("http://").to_owned();
    for number in 0..VANISHING {
        let body = json!({ "recipientId": bob.id, "message": format!("message {number}") }).to_string();
        let request = format!(
            "POST /api/chat/send HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            ann.token,
            body.len(),
        );
        let mut connection = TcpStream::connect(&address).await.expect("a connection");
        // Every third is cut short; the others are whole, and their sender is gone before the answer.
        let sent = if number % 3 == 0 { request.len() - 5 } else { request.len() };
        connection.write_all(&request.as_bytes()[..sent]).await.expect("sent");
    }
    let last = ann.send(&bob, "the last").await.ok();
    server.stop().await;
    // Whatever was begun has ended.
    let server = site.start_ready().await;
    let client = Client::new(server.url());
    let seqs = seqs(&ann.at(&client), &bob.at(&client)).await;
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "the numbers have no gap: {seqs:?}");
    assert!(seqs.len() <= VANISHING - VANISHING.div_ceil(3) + 1, "what was cut short is not sent");
    assert!(seqs.contains(&last["seq"].as_u64().expect("a number")), "{last}");
    drop(server);
    site.clear().await;
}

async fn seqs(ann: &Person, bob: &Person) -> Vec<u64> {
    let mut seqs: Vec<u64> = Vec::new();
    loop {
        let after = seqs.last().copied().unwrap_or(0);
        let page = ann.messages(&format!("?with={}&after={after}&limit=100", bob.id)).await;
        if page.is_empty() {
            return seqs;
        }
        seqs.extend(page.iter().map(|message| message["seq"].as_u64().expect("a number")));
    }
}

/// Half of them send nothing, half of them half a head. Each takes a file of this process and one of the server, of which a
/// laptop allows few; `IDLE_CONNECTIONS` asks for more, and for the time that an idle one is kept.
async fn thousands_of_connections_that_ask_nothing_keep_nobody_out(context: Arc<Context>) {
    let asked_for = std::env::var("IDLE_CONNECTIONS").ok();
    let count: usize = asked_for.as_ref().map_or(2_000, |count| count.parse().expect("a number"));
    let site = context.site();
    let server = site.start_ready().await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut idle = TcpStream::connect(&address).await.expect("a connection");
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    let mut connections = Vec::new();
    for number in 0..count {
        let mut connection = TcpStream::connect(&address).await.expect("a connection");
        if number % 2 == 0 {
            connection.write_all(b"GET /api/users/profile HTTP/1.1\r\nHost: a").await.expect("sent");
        }
        connections.push(connection);
    }
    ann.send(&bob, "hello").await.ok();
    assert_eq!(bob.at(&Client::new(server.url())).messages("").await.len(), 1, "on a connection of its own");
    drop(connections);
    if asked_for.is_some() {
        let mut answer = Vec::new();
        let end = tokio::time::timeout(KEPT_ALIVE + PATIENCE, idle.read_to_end(&mut answer));
        assert!(end.await.expect("an idle connection ends").expect("an answer and the end") > 0);
    }
    drop(server);
    site.clear().await;
}
