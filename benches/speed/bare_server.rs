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
use chat_functions::domain::{ChatId, ClientId, Clock, MessageText, SessionKey, Timestamp};
use chat_functions::http::OwnUser;
use chat_functions::identity::Tokens;
use chat_functions::store::{Append, NewMessage, Store, Window};
use serde::{Deserialize, Serialize};

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
    /// The text of every message that is sent.
    pub text: String,
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
    text: MessageText,
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

async fn serve(Instructions { location, tokens, text, answers }: Instructions) {
    let store = location.open().await;
    let (verifier, now) = (Tokens::new(&JWT_SECRET.into()), Clock::default().now());
    let people = tokens.iter().map(|token| verifier.verify(token, now).expect("a token")).collect();
    let text = MessageText::parse(text).expect("a message");
    let shared = Data::new(Shared { store, clock: Clock::default(), people, text, answers });
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
    let operations = futures_util::try_join!(shared.store.find_profile(key), shared.store.list_chat_ids(key.user, OwnUser::MAX_CHATS));
    operations.expect("an answer");
    shared.answer("profile")
}

async fn send(shared: Data<Shared>, people: Path<(usize, usize)>, _body: Bytes) -> HttpResponse {
    let (sender, chat) = (&shared.people[people.0], shared.chat(*people));
    let recipient = shared.people[people.1].user;
    let looked = futures_util::try_join!(shared.store.find_peer(sender, recipient), shared.store.find_chat_head(chat));
    let (_, head) = looked.expect("an answer");
    let client_id = ClientId::parse(&uuid::Uuid::new_v4().to_string()).expect("an id");
    let sent_at: Timestamp = shared.clock.now();
    let message = NewMessage { chat, sender: sender.user, text: shared.text.clone(), client_id: Some(client_id), sent_at };
    let appended = shared.store.append_message(&message, head).await.expect("an answer");
    assert!(matches!(appended, Append::Stored(_)), "{appended:?}");
    shared.answer("send")
}

async fn messages(shared: Data<Shared>, people: Path<(usize, usize)>) -> HttpResponse {
    let page = shared.store.list_chat_messages(shared.chat(*people), Window::Newest, PAGE);
    let operations = futures_util::try_join!(shared.store.find_session(&shared.people[people.0]), page);
    operations.expect("an answer");
    shared.answer("messages")
}

async fn conversations(shared: Data<Shared>, person: Path<usize>) -> HttpResponse {
    let key = &shared.people[*person];
    let page = shared.store.list_conversations(key.user, None, PAGE + 1, shared.clock.now());
    let operations = futures_util::try_join!(shared.store.find_session(key), page);
    operations.expect("an answer");
    shared.answer("conversations")
}
