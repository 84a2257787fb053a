//! How soon somebody who waits has a message, and what it takes to let many wait.
//!
//! `scripts/with-mongodb cargo bench --bench polls`; `-- latency` and `-- crowd` are its parts, and with `-- --short` it only proves
//! that it works. Everything goes through the real program, in processes of its own. What has no MongoDB server says so, and fails where everything has to run. Many who
//! wait need many open files: `ulimit -n 20000`.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "a bench fails by panicking")]

#[path = "../tests/support/accounts.rs"]
mod accounts;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/support/database_server.rs"]
mod database_server;
#[path = "../tests/support/mongodb.rs"]
mod mongodb_server;
#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/people.rs"]
mod people;
#[path = "support/process.rs"]
mod process;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/support/server.rs"]
mod server;
#[path = "support/site.rs"]
mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use numbers::{Times, is_short, is_wanted, millis};
use people::Person;
use process::Process;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use server::Server;
use site::{Counter, Kind, Site};
use tokio::task::JoinSet;

/// How much is measured.
struct Scale {
    /// Messages, one after the other, whose way is timed.
    messages: usize,
    /// People who wait at once.
    crowd: usize,
    /// How long they are watched while nothing happens.
    watch: Duration,
}

const FULL: Scale = Scale { messages: 300, crowd: 5_000, watch: Duration::from_secs(8) };
const SHORT: Scale = Scale { messages: 5, crowd: 40, watch: Duration::from_millis(500) };

/// Those who send at once to a crowd.
const SENDERS: usize = 32;
/// People who begin to wait at a time, and the pause after them: more connections at once than that a listener would drop.
const ARRIVALS: usize = 50;
const ARRIVAL_PAUSE: Duration = Duration::from_millis(20);

/// A client of one server, whose connections are its own. It comes back as `Retry-After` says when it is refused for want of room.
#[derive(Clone)]
struct Line {
    http: Client,
    url: Arc<str>,
    refusals: Arc<AtomicUsize>,
}

impl Line {
    fn to(server: &Server) -> Self {
        let http = Client::builder().no_proxy().build().expect("a client");
        Self { http, url: server.url().into(), refusals: Arc::default() }
    }

    fn request(&self, method: Method, path: &str, person: &Person) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&person.token)
    }

    async fn insist(&self, request: RequestBuilder) -> Response {
        loop {
            let answer = request.try_clone().expect("a body in memory").send().await.expect("an answer");
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                assert_eq!(answer.status(), StatusCode::OK);
                return answer;
            }
            self.refusals.fetch_add(1, Ordering::Relaxed);
            let seconds = answer.headers()[RETRY_AFTER].to_str().expect("ASCII").parse().expect("seconds");
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
    }

    /// Sends a message from one person to another.
    async fn send(&self, from: &Person, to: &Person) {
        let client_id = uuid::Uuid::new_v4().to_string();
        let message = json!({ "recipientId": to.id.to_string(), "message": "hello", "clientId": client_id });
        self.insist(self.request(Method::POST, "/api/chat/send", from).json(&message)).await;
    }

    /// Waits for what somebody writes after a message, for as long as it takes, and gives when it came.
    async fn wait(&self, reader: &Person, writer: &Person, after: u64) -> Instant {
        let path = format!("/api/chat/messages?with={}&after={after}", writer.id);
        loop {
            let answer = self.insist(self.request(Method::GET, &path, reader).header("Prefer", "wait=25")).await;
            let page: Value = answer.json().await.expect("JSON");
            if page["messages"] != json!([]) {
                return Instant::now();
            }
        }
    }
}

/// From the beginning of a send to the answer of the poll that waits for it, one message after the other.
async fn measure_latency(name: &str, servers: [&Server; 2], people: &[Person], scale: &Scale) {
    let ([at_writer, at_reader], [writer, reader]) = (servers.map(Line::to), [people[0].clone(), people[1].clone()]);
    let mut times = Times::default();
    for after in 0..scale.messages as u64 {
        let (line, reader, author) = (at_reader.clone(), reader.clone(), writer.clone());
        let poll = tokio::spawn(async move { line.wait(&reader, &author, after).await });
        // Long enough to be waiting by then, and so uneven that the rounds of a query are met at any moment.
        let pause = 20 + u64::from(getrandom::u32().expect("random bytes") % 400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let begun = Instant::now();
        at_writer.send(&writer, &people[1]).await;
        times.add(poll.await.expect("a poll").duration_since(begun));
    }
    println!("{name:<52} median {:>10}   p99 {:>10}", millis(times.median()), millis(times.percentile(99)));
}

async fn latency_on_one(name: &str, kind: Kind, scale: &Scale) {
    let Some(site) = Site::open(kind).await else { return println!("{name}: NOT RUN") };
    let people = site.people(2).await;
    let server = site.start().await;
    measure_latency(name, [&server, &server], &people, scale).await;
    server.stop().await;
    site.clear().await;
}

async fn latency_across_two(name: &str, kind: Kind, scale: &Scale) {
    let Some(site) = Site::open(kind).await else { return println!("{name}: NOT RUN") };
    let people = site.people(2).await;
    let (one, other) = (site.start().await, site.start().await);
    measure_latency(name, [&one, &other], &people, scale).await;
    one.stop().await;
    other.stop().await;
    site.clear().await;
}

/// What a server takes while nothing happens.
struct Burden {
    memory_mib: f64,
    core_percent: f64,
    /// Operations of the database server a second, where there is one.
    operations: Option<f64>,
}

impl Burden {
    async fn measure(process: Process, counter: Option<&Counter>, over: Duration) -> Self {
        let before = operations(counter).await;
        let core_percent = process.load(over).await * 100.0;
        let done = before.zip(operations(counter).await).map(|(before, after)| u32::try_from(after - before).expect("a few"));
        let operations = done.map(|done| f64::from(done) / over.as_secs_f64());
        Self { memory_mib: process.memory_mib(), core_percent, operations }
    }

    fn tell(&self, when: &str) {
        let operations =
            self.operations.map_or(String::new(), |operations| format!(", {operations:.1} operations of the database a second"));
        println!("  {when}: {:.0} MiB, {:.1} % of a core{operations}", self.memory_mib, self.core_percent);
    }
}

async fn operations(counter: Option<&Counter>) -> Option<i64> {
    match counter {
        Some(counter) => Some(counter.operations().await),
        None => None,
    }
}

/// Has many people wait for a message from one person, looks at what that takes, and sends one to each.
async fn measure_crowd(name: &str, kind: Kind, scale: &Scale) {
    let Some(site) = Site::open(kind).await else { return println!("{name}: NOT RUN") };
    let mut crowd = site.people(scale.crowd + 1).await;
    let writer = Arc::new(crowd.pop().expect("somebody"));
    let (server, counter) = (site.start().await, site.counter().await);
    let (process, line) = (Process(server.pid()), Line::to(&server));
    println!("{name}");
    process.settle(0).await;
    Burden::measure(process, counter.as_ref(), scale.watch).await.tell("at rest");
    let mut waiting = JoinSet::new();
    for (number, person) in crowd.iter().cloned().enumerate() {
        let (line, writer) = (line.clone(), Arc::clone(&writer));
        waiting.spawn(async move { (number, line.wait(&person, &writer, 0).await) });
        if number % ARRIVALS == 0 {
            tokio::time::sleep(ARRIVAL_PAUSE).await;
        }
    }
    process.settle(scale.crowd).await;
    Burden::measure(process, counter.as_ref(), scale.watch).await.tell("with them");
    assert!(waiting.try_join_next().is_none(), "nobody has got anything");
    send_to_all(&line, &writer, &crowd, waiting).await;
    server.stop().await;
    site.clear().await;
}

async fn send_to_all(line: &Line, writer: &Person, crowd: &[Person], waiting: JoinSet<(usize, Instant)>) {
    let begun = Instant::now();
    let sends = crowd.iter().map(async |person| {
        let begun = Instant::now();
        line.send(writer, person).await;
        begun
    });
    let sent: Vec<Instant> = futures_util::stream::iter(sends).buffered(SENDERS).collect().await;
    let last_sent = Instant::now();
    let mut times = Times::default();
    let mut last_answered = begun;
    for (number, answered) in waiting.join_all().await {
        times.add(answered.duration_since(sent[number]));
        last_answered = last_answered.max(answered);
    }
    let in_all = (last_sent.duration_since(begun), last_answered.duration_since(begun));
    println!("  a message to each: all {} sent after {}, all there after {}", times.count(), millis(in_all.0), millis(in_all.1));
    println!("  from a send to its poll's answer: median {}, p99 {}", millis(times.median()), millis(times.percentile(99)));
    println!("  refused for want of room, and repeated: {}", line.refusals.load(Ordering::Relaxed));
}

fn main() {
    let scale = if is_short() { SHORT } else { FULL };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if is_wanted("latency") {
            println!("From a send to the answer of the poll that waits for it, {} messages:", scale.messages);
            latency_on_one("one process on SQLite", Kind::Sqlite, &scale).await;
            latency_on_one("one process on MongoDB", Kind::ChangeStream, &scale).await;
            latency_across_two("two processes on MongoDB with a change stream", Kind::ChangeStream, &scale).await;
            latency_across_two("two processes on MongoDB without one", Kind::Standalone, &scale).await;
        }
        if is_wanted("crowd") {
            println!("{} people who wait at one process:", scale.crowd);
            measure_crowd("on SQLite", Kind::Sqlite, &scale).await;
            measure_crowd("on MongoDB with a change stream", Kind::ChangeStream, &scale).await;
            measure_crowd("on MongoDB without one", Kind::Standalone, &scale).await;
        }
    });
}
