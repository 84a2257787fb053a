//! The floor: a bare actix-web server that does, for each route, the same database operations as the product and nothing else. It checks
//! no token, reads no input but two numbers in the path, and answers with a body that was made before.
//!
//! It is a process of its own: this program, started once more.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use actix_web::web::{Bytes, Data, Path};
use actix_web::{App, HttpResponse, HttpServer, web};
use chat_functions::domain::{ChatId, Clock, SessionKey};
use chat_functions::identity::Tokens;
use chat_functions::store::{Store, Window};
use serde::{Deserialize, Serialize};

use crate::operations;
use crate::server::JWT_SECRET;
use crate::site::Location;

/// What makes this program such a server.
pub const ARGUMENT: &str = "--bare-server";

/// Messages of a chat, and conversations, on a page that nobody has asked to be smaller.
const PAGE: usize = 50;

/// What such a server is told, on its standard input.
#[derive(Serialize, Deserialize)]
pub struct Instructions {
    /// Where the data is.
    pub location: Location,
    /// The tokens of the people that a path may name by their number.
    pub tokens: Vec<String>,
    /// What is answered, by the first part of the path.
    pub answers: HashMap<String, String>,
}

/// Such a server; dropping it ends it.
pub struct BareServer {
    child: Child,
    pub address: SocketAddr,
}

impl BareServer {
    /// Starts one, and returns when it listens.
    pub fn start(instructions: &Instructions) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child =
            Command::new(program).arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("this program runs");
        let mut input = child.stdin.take().expect("its input");
        input.write_all(&serde_json::to_vec(instructions).expect("JSON")).expect("it reads");
        drop(input);
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        Self { child, address: line.trim().parse().expect("an address") }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// What the handlers share.
struct Shared {
    store: Arc<dyn Store>,
    clock: Clock,
    people: Vec<SessionKey>,
    answers: HashMap<String, String>,
}

impl Shared {
    fn answer(&self, route: &str) -> HttpResponse {
        HttpResponse::Ok().content_type("application/json").body(self.answers[route].clone())
    }

    /// The chat of two people by their numbers.
    fn chat(&self, (one, other): (usize, usize)) -> ChatId {
        ChatId::between(self.people[one].user, self.people[other].user).expect("two people")
    }
}

/// Is such a server, until it is killed.
pub fn run() {
    let instructions: Instructions = serde_json::from_reader(std::io::stdin()).expect("instructions");
    actix_web::rt::System::new().block_on(serve(instructions));
}

async fn serve(Instructions { location, tokens, answers }: Instructions) {
    let store = location.open().await;
    let (verifier, now) = (Tokens::new(&JWT_SECRET.into()), Clock::default().now());
    let people = tokens.iter().map(|token| verifier.verify(token, now).expect("a token")).collect();
    let shared = Data::new(Shared { store, clock: Clock::default(), people, answers });
    let app = move || {
        App::new()
            .app_data(shared.clone())
            .route("/profile/{person}", web::get().to(profile))
            .route("/send/{person}/{peer}", web::post().to(send))
            .route("/messages/{person}/{peer}", web::get().to(messages))
            .route("/conversations/{person}", web::get().to(conversations))
    };
    let server = HttpServer::new(app).workers(std::thread::available_parallelism().map_or(1, usize::from));
    let server = server.bind(("127.0.0.1", 0)).expect("a free port");
    println!("{}", server.addrs()[0]);
    server.run().await.expect("served");
}

async fn profile(shared: Data<Shared>, person: Path<usize>) -> HttpResponse {
    let key = &shared.people[*person];
    operations::read_profile(shared.store.as_ref(), key).await;
    shared.answer("profile")
}

async fn send(shared: Data<Shared>, people: Path<(usize, usize)>, _body: Bytes) -> HttpResponse {
    operations::send(shared.store.as_ref(), &shared.people[people.0], shared.people[people.1].user).await;
    shared.answer("send")
}

async fn messages(shared: Data<Shared>, people: Path<(usize, usize)>) -> HttpResponse {
    let page = shared.store.list_chat_messages(shared.chat(*people), Window::Newest, PAGE);
    let reads = futures_util::try_join!(shared.store.find_session(&shared.people[people.0]), page);
    reads.expect("an answer");
    shared.answer("messages")
}

async fn conversations(shared: Data<Shared>, person: Path<usize>) -> HttpResponse {
    let key = &shared.people[*person];
    let page = shared.store.list_conversations(key.user, None, PAGE + 1, shared.clock.now());
    let reads = futures_util::try_join!(shared.store.find_session(key), page);
    reads.expect("an answer");
    shared.answer("conversations")
}
