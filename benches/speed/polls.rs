//! How soon somebody who waits has a message, and what it takes to let many wait.
//!
//! Many who wait need many open files: `ulimit -n 20000`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_functions::domain::Clock;
use chat_functions::store::{FriendAddition, Store};
use futures_util::StreamExt as _;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::numbers::{Times, in_millis};
use crate::people::{self, Person};
use crate::process::Process;
use crate::report::{Row, Section};
use crate::server::Server;
use crate::site::{Counter, Kind, Site};

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
async fn measure_latency(servers: [&Server; 2], people: &[Person], scale: &Scale) -> Times {
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
    times
}

/// The same where one process serves both people.
async fn latency_on_one(kind: Kind, scale: &Scale) -> Option<Times> {
    let site = Site::open(kind).await?;
    let people = site.people(2).await;
    let server = site.start().await;
    let times = measure_latency([&server, &server], &people, scale).await;
    server.stop().await;
    site.clear().await;
    Some(times)
}

/// The same where each has a process of their own.
async fn latency_across_two(kind: Kind, scale: &Scale) -> Option<Times> {
    let site = Site::open(kind).await?;
    let people = site.people(2).await;
    let (one, other) = (site.start().await, site.start().await);
    let times = measure_latency([&one, &other], &people, scale).await;
    one.stop().await;
    other.stop().await;
    site.clear().await;
    Some(times)
}

/// The time that half of all do not exceed, and the one that hardly any exceeds.
fn tell_times(section: &mut Section, what: &str, times: &Times, beside: Option<&Times>) {
    for (name, percent) in [("median", 50), ("p99", 99)] {
        let [ours, beside] = [Some(times), beside].map(|times| times.map(|times| in_millis(times.percentile(percent))));
        let row = Row::alone(format!("{what}, {name}"), ours.expect("times"), "ms");
        section.add(Row { beside, ..row });
    }
}

async fn measure_latencies(scale: &Scale) -> Section {
    let method = format!(
        "From a send to the answer of the poll that waits for it, {} messages at uneven intervals. Without a change stream a process \
         asks for changes in rounds.",
        scale.messages,
    );
    let mut section = Section::new("How soon somebody who waits has a message", &method, ["", "one process on MongoDB"]);
    println!("{}", section.title);
    if let Some(times) = latency_on_one(Kind::Sqlite, scale).await {
        tell_times(&mut section, "one process on SQLite", &times, None);
    }
    let on_one = latency_on_one(Kind::ChangeStream, scale).await;
    if let Some(times) = &on_one {
        tell_times(&mut section, "one process on MongoDB", times, None);
    }
    let two = [("two processes with a change stream", Kind::ChangeStream), ("two processes without one", Kind::Standalone)];
    for (what, kind) in two {
        if let Some(times) = latency_across_two(kind, scale).await {
            tell_times(&mut section, what, &times, on_one.as_ref());
        }
    }
    section
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

    /// Beside what it takes at rest.
    fn tell(&self, at_rest: &Self, section: &mut Section) {
        section.add(Row::beside("memory", [self.memory_mib, at_rest.memory_mib], "MiB"));
        section.add(Row::beside("part of a core", [self.core_percent, at_rest.core_percent], "%"));
        if let Some((waiting, at_rest)) = self.operations.zip(at_rest.operations) {
            section.add(Row::beside("operations of the database", [waiting, at_rest], "/s"));
        }
    }
}

async fn operations(counter: Option<&Counter>) -> Option<i64> {
    match counter {
        Some(counter) => Some(counter.operations().await),
        None => None,
    }
}

/// Somebody, and so many people who have added them as a friend: chats that are begun with strangers would be counted one by one.
async fn create_crowd(store: &dyn Store, count: usize) -> (Person, Vec<Person>) {
    let mut people = people::create(store, count + 1).await;
    let (writer, added_at) = (people.pop().expect("somebody"), Clock::default().now());
    let additions = people.iter().map(|person| store.add_friend(person.id, writer.id, added_at));
    let added: Vec<_> = futures_util::stream::iter(additions).buffer_unordered(SENDERS).collect().await;
    assert!(added.iter().all(|added| matches!(added, Ok(FriendAddition::Added))), "{added:?}");
    (writer, people)
}

/// Has many people wait for a message from one person, looks at what that takes, and sends one to each; `None` when there can be no
/// such store.
async fn measure_crowd(store: &str, kind: Kind, scale: &Scale) -> Option<Section> {
    let site = Site::open(kind).await?;
    let (writer, crowd) = site.fill(async |store| create_crowd(store, scale.crowd).await).await;
    let writer = Arc::new(writer);
    let (server, counter) = (site.start().await, site.counter().await);
    let (process, line) = (Process(server.pid()), Line::to(&server));
    let title = format!("{} people who wait: {store}", scale.crowd);
    let method = format!(
        "At one process, each with an open connection. Then a friend of all sends each a message, by {SENDERS} requests at a time."
    );
    let mut section = Section::new(&title, &method, ["with them", "at rest"]);
    println!("{title}");
    process.settle(0).await;
    let at_rest = Burden::measure(process, counter.as_ref(), scale.watch).await;
    let mut waiting = JoinSet::new();
    for (number, person) in crowd.iter().cloned().enumerate() {
        let (line, writer) = (line.clone(), Arc::clone(&writer));
        waiting.spawn(async move { (number, line.wait(&person, &writer, 0).await) });
        if number % ARRIVALS == 0 {
            tokio::time::sleep(ARRIVAL_PAUSE).await;
        }
    }
    process.settle(scale.crowd).await;
    Burden::measure(process, counter.as_ref(), scale.watch).await.tell(&at_rest, &mut section);
    assert!(waiting.try_join_next().is_none(), "nobody has got anything");
    send_to_all(&line, &writer, &crowd, waiting, &mut section).await;
    server.stop().await;
    site.clear().await;
    Some(section)
}

/// Sends a message to each of those who wait, and tells how soon all have theirs.
async fn send_to_all(line: &Line, writer: &Person, crowd: &[Person], waiting: JoinSet<(usize, Instant)>, section: &mut Section) {
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
    section.add(Row::alone("a message to each: all are sent after", last_sent.duration_since(begun).as_secs_f64(), "s"));
    section.add(Row::alone("all are there after", last_answered.duration_since(begun).as_secs_f64(), "s"));
    tell_times(section, "from a send to its poll's answer", &times, None);
    let refusals = u32::try_from(line.refusals.load(Ordering::Relaxed)).expect("fewer than that");
    section.add(Row::alone("refused for want of room, and repeated", refusals.into(), "requests"));
}

/// Measures both.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let scale = if is_short { SHORT } else { FULL };
    let mut sections = vec![measure_latencies(&scale).await];
    let stores = [
        ("SQLite", Kind::Sqlite),
        ("MongoDB with a change stream", Kind::ChangeStream),
        ("MongoDB without a change stream", Kind::Standalone),
    ];
    for (store, kind) in stores {
        sections.extend(measure_crowd(store, kind, &scale).await);
    }
    sections
}
