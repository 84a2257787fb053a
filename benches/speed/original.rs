//! The product beside the original design's own stack: the same requests to both, on one MongoDB server, before and after people have
//! written to each other for long.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use chat_functions::domain::UserId;
use futures_util::future::join_all;
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use serde_json::{Value, json};

use crate::gunicorn::{self, Gunicorn};
use crate::load::{self, Connection, Request};
use crate::mongo_seed;
use crate::mongodb_server::TestDatabase;
use crate::not_run::not_run;
use crate::people::new_name;
use crate::process::Process;
use crate::report::{Goal, Row, Section, grouped};
use crate::seed::CONTENT;
use crate::server::Server;
use crate::site::{Kind, Site};
use crate::turns::{Target, Turns};

/// Messages that everybody has at first: a page of the product, so that both answer with the same.
const FEW: u32 = 50;
const PASSWORD: &str = "tulip-gravel-onion";
const FASTER: Goal = Goal::RatioAtLeast(20.0);
const SMALLER: Goal = Goal::RatioAtMost(0.1);

/// How much is measured.
struct Scale {
    /// Connections, and people, each of whom uses one. They stand in a circle, and everybody writes to the next.
    connections: usize,
    /// Messages that everybody has in the end.
    many: u32,
    rounds: usize,
    span: Duration,
}

const FULL: Scale = Scale { connections: 16, many: 10_000, rounds: 3, span: Duration::from_secs(3) };
const SHORT: Scale = Scale { connections: 4, many: 100, rounds: 1, span: Duration::from_millis(100) };

#[derive(Clone, Copy)]
enum Route {
    Profile,
    Messages,
    Send,
    Login,
}

impl Route {
    /// In the order in which they are measured: first what only reads, and at last what ends sessions, because a person can have only
    /// so many at a time.
    const ALL: [Self; 4] = [Self::Profile, Self::Messages, Self::Send, Self::Login];

    fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Messages => "messages",
            Self::Send => "send",
            Self::Login => "login",
        }
    }

    /// The request of somebody by their number, to either server.
    fn request(self, people: &[Member], number: usize) -> Request {
        let member = &people[number];
        let token = Some(member.token.as_str());
        match self {
            Self::Login => {
                let credentials = json!({ "email": member.email, "password": PASSWORD });
                load::through_proxy(load::post("/api/auth/login", None, &credentials), number)
            }
            Self::Profile => load::get("/api/users/profile", token),
            Self::Messages => load::get("/api/chat/messages", token),
            Self::Send => {
                let recipient = &people[(number + 1) % people.len()].id;
                load::post("/api/chat/send", token, &json!({ "recipientId": recipient, "message": CONTENT }))
            }
        }
    }
}

/// Somebody with an account, as their client knows them.
struct Member {
    id: String,
    email: String,
    token: String,
}

impl Member {
    async fn register(server: SocketAddr, number: usize) -> Self {
        let name = new_name();
        let email = format!("{name}@example.com");
        let account = json!({ "username": name, "email": email, "password": PASSWORD });
        let request = load::through_proxy(load::post("/api/auth/register", None, &account), number);
        let (status, body) = Connection::open(server).await.ask(request).await;
        assert!(status.is_success(), "{status}: {body:?}");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self { id: text(&answer["user"]["id"]), token: text(&answer["token"]), email }
    }
}

/// People who have just come to a server.
struct Circle {
    server: SocketAddr,
    people: Vec<Member>,
}

impl Circle {
    async fn register(server: SocketAddr, count: usize) -> Self {
        Self { server, people: join_all((0..count).map(|number| Member::register(server, number))).await }
    }

    /// Everybody and the next one, by their ids.
    fn chats<Id>(&self, parse: impl Fn(&str) -> Id) -> impl Iterator<Item = [Id; 2]> {
        let next = self.people.iter().cycle().skip(1);
        self.people.iter().zip(next).map(move |(one, next)| [parse(&one.id), parse(&next.id)])
    }

    /// Has everybody write to the next one.
    async fn send_the_last(&self) {
        let mut connection = Connection::open(self.server).await;
        for number in 0..self.people.len() {
            let (status, body) = connection.ask(Route::Send.request(&self.people, number)).await;
            assert!(status.is_success(), "{status}: {body:?}");
        }
    }
}

/// Both servers, and their databases.
struct Servers {
    product: Server,
    original: Gunicorn,
    databases: [Database; 2],
}

impl Servers {
    fn targets(&self) -> [Target; 2] {
        [
            Target { address: load::address_of(self.product.url()), processes: vec![Process(self.product.pid())] },
            Target { address: self.original.address, processes: self.original.processes() },
        ]
    }

    /// New people on both, who have so many messages each, half of them in either of their two chats.
    async fn populate(&self, [product, original]: &[Target; 2], people: usize, messages: u32) -> [Circle; 2] {
        let product = Circle::register(product.address, people).await;
        for chat in product.chats(|id| UserId::parse(id).expect("an id")) {
            mongo_seed::documents(&self.databases[0], chat, messages / 2).await;
        }
        let original = Circle::register(original.address, people).await;
        for chat in original.chats(|id| ObjectId::parse_str(id).expect("an id")) {
            mongo_seed::arrays(&self.databases[1], chat, messages / 2).await;
        }
        product.send_the_last().await;
        original.send_the_last().await;
        [product, original]
    }
}

/// Measures both.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let scale = if is_short { SHORT } else { FULL };
    compare(&scale).await.into_iter().collect()
}

async fn compare(scale: &Scale) -> Option<Section> {
    // Of log-ins from one place only a few may wait; so each person comes from another one.
    let (name, value) = load::BEHIND_PROXY;
    let site = Site::open(Kind::ChangeStream).await?.with(name, value);
    let database = TestDatabase::new().map_or_else(|reason| not_run(&reason), Some)?;
    let original = Gunicorn::start(&database.uri()).await.map_or_else(|reason| not_run(&reason), Some)?;
    let databases = [site.database().await?, database.open().await];
    let servers = Servers { product: site.start().await, original, databases };
    let mut section = Section::new("Beside the original", &method(scale), ["chat-functions", "original's stack"]);
    println!("{}", section.title);
    for messages in [FEW, scale.many] {
        measure_with(messages, &servers, scale, &mut section).await;
    }
    servers.product.stop().await;
    tokio::task::block_in_place(|| drop(servers.original));
    database.drop_database().await;
    site.clear().await;
    Some(section)
}

fn method(scale: &Scale) -> String {
    let server = std::env::var("TEST_MONGODB_SERVER").unwrap_or_default();
    let server = Path::new(&server).file_name().map_or("the one that was given".into(), |name| name.to_string_lossy());
    let caveat =
        if server.starts_with("secantusd") { ", which, unlike MongoDB, reads all messages of a person to find the newest" } else { "" };
    format!(
        "The same requests to both in turn, over {} connections of a person each, as fast as they are answered; both on one \
         MongoDB server ({server}{caveat}), on the same cores as the load. The original's stack is Flask under gunicorn with {} sync \
         workers (which close a connection after each answer), PyJWT, bcrypt at its default cost and pymongo; it keeps messages in an \
         array inside the documents of both users and answers `messages` with all of them, where chat-functions answers with the newest \
         {FEW}. A log-in costs what its password hash costs, argon2id here and bcrypt there. First everybody has {} messages, then {}. \
         Processor time and memory are of all processes of a side, the database's not among them; memory that they share counts once.",
        scale.connections,
        gunicorn::workers(),
        grouped(&FEW.to_string()),
        grouped(&scale.many.to_string()),
    )
}

/// Measures all routes with people who have so many messages.
async fn measure_with(messages: u32, servers: &Servers, scale: &Scale, section: &mut Section) {
    let turns = Turns { targets: servers.targets(), connections: scale.connections, rounds: scale.rounds, span: scale.span };
    let circles = servers.populate(&turns.targets, scale.connections, messages).await;
    let each = format!("{} messages each", grouped(&messages.to_string()));
    for route in Route::ALL {
        let throughput = turns.throughput(|side, number| route.request(&circles[side].people, number)).await;
        let (name, per_second) = (route.name(), throughput.map(|side| side.per_second));
        section.add(Row::beside(format!("{name}: answers a second, {each}"), per_second, "/s").aiming_at(FASTER));
        let processor = throughput.map(|side| side.processor_micros);
        section.add(Row::beside(format!("{name}: processor time of an answer"), processor, "µs"));
        let memory = turns.targets.each_ref().map(|target| target.sum(Process::memory_share_mib));
        section.add(Row::beside(format!("{name}: memory after that"), memory, "MiB").aiming_at(SMALLER));
    }
}
