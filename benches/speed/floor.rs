//! The product beside a bare server that does the same database operations and nothing else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use chat_functions::store::Store;
use futures_util::StreamExt as _;
use serde_json::json;

use crate::bare_server::{BareServer, Instructions};
use crate::load::{self, Connection, Request};
use crate::numbers::{Times, in_millis};
use crate::operations;
use crate::people::{self, Person};
use crate::process::Process;
use crate::report::{Goal, Row, Section};
use crate::seed::CONTENT;
use crate::site::{Counter, Kind, Site};
use crate::turns::{Target, Throughput, Turns};

/// Connections, and people, each of whom uses one.
const CONNECTIONS: usize = 64;
/// People whom each one is in a conversation with because they wrote first; as many again wrote to them.
const PEERS: usize = 10;
/// Messages in the chats that are read.
const MESSAGES: usize = 50;
/// What the product should reach of the floor's throughput, and its times over the floor's at most.
const GOALS: [Goal; 2] = [Goal::RatioAtLeast(0.9), Goal::RatioAtMost(1.1)];

/// How long is measured.
struct Scale {
    rounds: usize,
    span: Duration,
}

const FULL: Scale = Scale { rounds: 7, span: Duration::from_millis(1_500) };
const SHORT: Scale = Scale { rounds: 1, span: Duration::from_millis(100) };

/// What is asked of servers under load.
#[derive(Clone, Copy)]
pub enum Route {
    Profile,
    Send,
    Messages,
    Conversations,
}

impl Route {
    /// Sends come last, because they make what the others read grow.
    pub const ALL: [Self; 4] = [Self::Profile, Self::Messages, Self::Conversations, Self::Send];

    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Send => "send",
            Self::Messages => "messages",
            Self::Conversations => "conversations",
        }
    }

    /// The product's request, of a person by their number.
    pub fn of_product(self, people: &[Person], number: usize) -> Request {
        let token = Some(people[number].token.as_str());
        match self {
            Self::Profile => load::get("/api/users/profile", token),
            Self::Messages => load::get(&format!("/api/chat/messages?with={}", people[next(number)].id), token),
            Self::Conversations => load::get("/api/chat/conversations", token),
            Self::Send => {
                let (recipient, client_id) = (people[next(number)].id.to_string(), uuid::Uuid::new_v4().to_string());
                let body = json!({ "recipientId": recipient, "message": CONTENT, "clientId": client_id });
                load::post("/api/chat/send", token, &body)
            }
        }
    }

    /// The bare server's request.
    fn of_floor(self, number: usize) -> Request {
        match self {
            Self::Profile | Self::Conversations => load::get(&format!("/{}/{number}", self.name()), None),
            Self::Messages => load::get(&format!("/messages/{number}/{}", next(number)), None),
            Self::Send => load::post(&format!("/send/{number}/{}", next(number)), None, &json!({ "message": CONTENT })),
        }
    }
}

/// Whom a person writes to. Nobody is written to by two, so that two sends never meet in one chat.
fn next(number: usize) -> usize {
    (number + 1) % CONNECTIONS
}

/// Measures all routes on both stores.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let scale = if is_short { SHORT } else { FULL };
    let mut sections = Vec::new();
    for (kind, store) in [(Kind::Sqlite, "SQLite"), (Kind::ChangeStream, "MongoDB")] {
        let title = format!("The floor: {store}");
        let method = format!(
            "{CONNECTIONS} connections; beside a bare actix-web server that does the same operations on the same store and answers with \
             a body made before. The load and the database run on the same cores. Half load is half of what the slower of the two can do."
        );
        let mut section = Section::new(&title, &method, ["chat-functions", "bare server"]);
        println!("{title}");
        if measure_store(kind, &scale, &mut section).await.is_some() {
            sections.push(section);
        }
    }
    sections
}

async fn measure_store(kind: Kind, scale: &Scale, section: &mut Section) -> Option<()> {
    let site = Site::open(kind).await?;
    let people = site.fill(async |store| populate(store).await).await;
    let copy = site.copy();
    let server = site.start().await;
    let address = load::address_of(server.url());
    let counter = site.counter().await;
    let floor = BareServer::start(&Instructions {
        location: copy.location(),
        tokens: people.iter().map(|person| person.token.clone()).collect(),
        answers: answers(address, &people).await,
    });
    let targets = [
        Target { address, processes: vec![Process(server.pid())] },
        Target { address: floor.address, processes: vec![Process(floor.pid())] },
    ];
    let turns = Turns { targets, connections: CONNECTIONS, rounds: scale.rounds, span: scale.span };
    for route in Route::ALL {
        let request = |side: usize, number| if side == 0 { route.of_product(&people, number) } else { route.of_floor(number) };
        check_operations(route, &turns.targets, counter.as_ref(), request).await;
        let throughput = turns.throughput(request).await;
        let times = turns.times_at_half_load(&throughput, request).await;
        add_rows(section, route, throughput, &times);
    }
    server.stop().await;
    drop(floor);
    site.clear().await;
    Some(())
}

/// People of whom each has written to the next ones, most to the very next.
pub async fn populate(store: &dyn Store) -> Vec<Person> {
    let people = people::create(store, CONNECTIONS).await;
    let writers = people.iter().enumerate().map(async |(number, writer)| {
        for distance in 1..=PEERS {
            let reader = &people[(number + distance) % people.len()];
            for _ in 0..if distance == 1 { MESSAGES } else { 1 } {
                operations::send(store, &writer.session, reader.id).await;
            }
        }
    });
    let writers: Vec<()> = futures_util::stream::iter(writers).buffer_unordered(CONNECTIONS).collect().await;
    assert_eq!(writers.len(), CONNECTIONS);
    people
}

/// What the product answers to the first of the people, by the names of the routes.
pub async fn answers(server: SocketAddr, people: &[Person]) -> HashMap<String, String> {
    let mut connection = Connection::open(server).await;
    let mut answers = HashMap::new();
    for route in Route::ALL {
        let (status, body) = connection.ask(route.of_product(people, 0)).await;
        assert!(status.is_success(), "{}: {status}", route.name());
        answers.insert(route.name().to_owned(), String::from_utf8(body.to_vec()).expect("UTF-8"));
    }
    answers
}

/// Makes sure that both sides do as many operations of the database server for a request, as far as it counts them.
async fn check_operations(route: Route, targets: &[Target; 2], counter: Option<&Counter>, request: impl Fn(usize, usize) -> Request) {
    const REQUESTS: u16 = 200;
    let Some(counter) = counter else { return };
    let mut per_request = [0.0; 2];
    for (side, (target, per_request)) in targets.iter().zip(&mut per_request).enumerate() {
        let mut connection = Connection::open(target.address).await;
        let before = counter.operations().await;
        for _ in 0..REQUESTS {
            let (status, _) = connection.ask(request(side, 0)).await;
            assert!(status.is_success(), "{}: {status}", route.name());
        }
        let operations = u16::try_from(counter.operations().await - before).expect("a few");
        *per_request = (f64::from(operations) / f64::from(REQUESTS)).round();
    }
    assert!(per_request[0].total_cmp(&per_request[1]).is_eq(), "{}: {per_request:?} operations a request", route.name());
}

fn add_rows(section: &mut Section, route: Route, throughput: [Throughput; 2], times: &[Times; 2]) {
    let name = route.name();
    let [more, less] = GOALS;
    let per_second = throughput.map(|side| side.per_second);
    section.add(Row::beside(format!("{name}: answers a second"), per_second, "/s").aiming_at(more));
    let medians = times.each_ref().map(|times| in_millis(times.median()));
    section.add(Row::beside(format!("{name}: median time at half load"), medians, "ms").aiming_at(less));
    let slow = times.each_ref().map(|times| in_millis(times.percentile(99)));
    section.add(Row::beside(format!("{name}: 99th percentile at half load"), slow, "ms").aiming_at(less));
    let processor = throughput.map(|side| side.processor_micros);
    section.add(Row::beside(format!("{name}: processor time of the process"), processor, "µs"));
}
