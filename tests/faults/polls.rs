//! Those who wait for messages: they vanish, their server is asked to stop or is killed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, Person};
use crate::support::metrics::Metrics;
use crate::support::server::Server;
use crate::{Context, PATIENCE, Site, eventually, tests};

tests!(Context:
    clients_that_vanish_while_they_wait_leave_nothing,
    asked_to_stop_it_answers_those_who_wait_at_once,
    clients_that_come_back_after_a_kill_each_get_every_message_once,
);

/// Polls of a person at a time, which is as many as one may have.
const AT_ONCE: usize = 10;
/// Clients that vanish, in rounds of [`AT_ONCE`].
const VANISHING: usize = 100;
/// Connections to its database that a server may open meanwhile, and keeps.
const POOL: usize = 40;
/// Connections that the client of a test may keep for its next request.
const KEPT: usize = 5;
/// Clients that come back.
const RETURNING: usize = 30;
/// Longer than an answer takes; shorter than a poll is willing to wait.
const SOON: Duration = Duration::from_secs(20);

/// A site whose only limit that counts is that on polls.
fn limited_site(context: &Context) -> Site {
    let site = context.site();
    let environment = site.environment.clone().with("LIMITS", "on").with("MAX_POLLS_PER_SESSION", AT_ONCE.to_string());
    let environment = ["LIMIT_READ", "LIMIT_ANONYMOUS"].iter().fold(environment, |environment, name| environment.with(name, "1000000/1s"));
    Site { environment, ..site }
}

/// A site whose server tells how many wait.
fn counted_site(context: &Context) -> (Site, Metrics) {
    let site = context.site();
    let (environment, metrics) = Metrics::of(site.environment.clone());
    (Site { environment, ..site }, metrics)
}

/// Whether one more poll of a person finds a place; it does not wait.
async fn has_a_place(reader: &Person, peer: &Person) -> bool {
    reader.poll_messages(peer, 0, 0).await.status == StatusCode::OK
}

/// How many files and connections a process has open.
fn open_files(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("a process of ours").count()
}

/// Connections with requests that wait: all places of a person are taken by them, and perhaps some were refused.
async fn wait_everywhere(server: &Server, reader: &Person, peer: &Person) -> Vec<TcpStream> {
    let begun = Instant::now();
    let mut connections = join_all((0..AT_ONCE).map(|_| wait_somewhere(server, reader, peer))).await;
    // Whoever looks for a place takes one for a moment, which a request may be refused for.
    while has_a_place(reader, peer).await {
        assert!(begun.elapsed() < PATIENCE, "of {} requests too few wait", connections.len());
        connections.push(wait_somewhere(server, reader, peer).await);
    }
    connections
}

async fn wait_somewhere(server: &Server, reader: &Person, peer: &Person) -> TcpStream {
    let address = server.url().trim_start_matches("http://");
    let request = format!(
        "GET /api/chat/messages?with={}&after=0 HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nPrefer: wait=25\r\n\r\n",
        peer.id, reader.token,
    );
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    connection.write_all(request.as_bytes()).await.expect("sent");
    connection
}

async fn clients_that_vanish_while_they_wait_leave_nothing(context: Arc<Context>) {
    let site = limited_site(&context);
    let server = site.start_ready().await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    drop(wait_everywhere(&server, &ann, &bob).await);
    eventually("a place is free", || has_a_place(&ann, &bob)).await;
    let before = open_files(&server);
    for _ in 0..VANISHING / AT_ONCE {
        let mut connections = wait_everywhere(&server, &ann, &bob).await;
        // Half of them reset the connection, which reaches the server in another way than its orderly end.
        for connection in connections.iter_mut().step_by(2) {
            connection.set_zero_linger().expect("a connection");
        }
        drop(connections);
        eventually("a place is free", || has_a_place(&ann, &bob)).await;
    }
    let kept = KEPT + if site.database.is_some() { POOL } else { 0 };
    eventually("all connections are closed", || async { open_files(&server) <= before + kept }).await;
    let mut last = wait_everywhere(&server, &ann, &bob).await;
    bob.send(&ann, "hello").await.ok();
    let mut answered = 0;
    for connection in &mut last {
        let mut start = [0; 12];
        connection.read_exact(&mut start).await.expect("an answer");
        answered += usize::from(start == *b"HTTP/1.1 200");
    }
    assert_eq!(answered, AT_ONCE, "each place is good");
    // The start asks for health until the store is there.
    let troubles = server.log().into_iter().filter(|line| line.contains(r#""level":"error""#) && !line.contains("/api/health"));
    assert_eq!(troubles.collect::<Vec<_>>(), Vec::<String>::new());
    drop(server);
    site.clear().await;
}

async fn asked_to_stop_it_answers_those_who_wait_at_once(context: Arc<Context>) {
    let (site, metrics) = counted_site(&context);
    let server = site.start_ready().await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    bob.send(&ann, "hello").await.ok();
    let tag = ann.conversations_tag().await;
    let (messages, lists) =
        (join_all((0..20).map(|_| ann.poll_messages(&bob, 1, 25))), join_all((0..20).map(|_| ann.poll_conversations(&tag, 25))));
    let stopping = async {
        eventually("all wait", async || metrics.polls_waiting().await == 40).await;
        server.terminate();
        let at = Instant::now();
        let status = server.wait().await;
        assert_eq!(status.code(), Some(0), "{:?}", server.log());
        at
    };
    let (stopped_at, messages, lists) =
        tokio::join!(stopping, async { (messages.await, Instant::now()) }, async { (lists.await, Instant::now()) });
    for answered_at in [messages.1, lists.1] {
        assert!(answered_at > stopped_at, "they were waiting");
        let took = answered_at - stopped_at;
        assert!(took < SOON, "answered {took:?} after the signal");
    }
    for answer in messages.0 {
        assert_eq!(answer.ok(), json!({ "messages": [] }));
    }
    assert!(lists.0.iter().all(|answer| answer.status == StatusCode::NOT_MODIFIED), "{:?}", lists.0);
    site.clear().await;
}

/// What a client that reads on has got: numbers of messages, in the order of their coming.
async fn read_on(reader: &Person, peer: &Person, mut seen: Vec<u64>, last: u64) -> Vec<u64> {
    while seen.last().is_none_or(|seq| *seq < last) {
        let after = seen.last().copied().unwrap_or(0);
        let page = reader.poll_messages(peer, after, 25).await.ok();
        seen.extend(page["messages"].as_array().expect("messages").iter().map(|message| message["seq"].as_u64().expect("a number")));
    }
    seen
}

async fn clients_that_come_back_after_a_kill_each_get_every_message_once(context: Arc<Context>) {
    const BEFORE: u64 = 10;
    const AFTER: u64 = 30;
    let (site, metrics) = counted_site(&context);
    let server = site.start_ready().await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    ann.send_several(&bob, 10).await;
    let seen = join_all((0..RETURNING).map(|_| read_on(&bob, &ann, Vec::new(), BEFORE))).await;
    let waiting: tokio::task::JoinSet<_> = (0..RETURNING)
        .map(|_| bob.clone().request(reqwest::Method::GET, &format!("/api/chat/messages?with={}&after={BEFORE}", ann.id)))
        .map(|request| request.header("Prefer", "wait=25").send())
        .collect();
    eventually("all wait", async || metrics.polls_waiting().await == RETURNING).await;
    server.kill();
    for lost in waiting.join_all().await {
        assert!(lost.is_err(), "nobody is answered: {lost:?}");
    }
    let server = site.start_ready().await;
    let client = Client::new(server.url());
    let (ann, bob) = (ann.at(&client), bob.at(&client));
    let returning = join_all(seen.into_iter().map(|seen| read_on(&bob, &ann, seen, AFTER)));
    let (_chat, seen) = tokio::join!(ann.send_several(&bob, 20), returning);
    for seen in seen {
        assert!(seen.iter().copied().eq(1..=AFTER), "{seen:?}");
    }
    drop(server);
    site.clear().await;
}
