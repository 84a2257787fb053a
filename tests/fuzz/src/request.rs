//! Requests: a line `METHOD PATH?QUERY`, lines of headers, an empty line, a body. They go over a socket to the application in this
//! process, on the embedded store. `TOKEN`, `PEER` and `CHAT` in them stand for a live token, somebody else, and the chat of both.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use chat_functions::auth::RegistrationPolicy;
use chat_functions::chat::WaitingRoom;
use chat_functions::domain::{ChatId, Clock, UserId};
use chat_functions::gateway::{self, App};
use chat_functions::identity::{PasswordCost, PasswordHasher, Pseudonyms, Tokens};
use chat_functions::mail::Mailer;
use chat_functions::rate_limits::{ClientAddress, LimitSettings, RateLimits};
use chat_functions::settings::Service;
use chat_functions::store::Store;
use chat_functions::store::sqlite::SqliteStore;
use serde_json::Value;

/// Longer than any answer takes, and so the time after which there is a finding.
const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret of the fuzz targets, which is long enough";
/// Headers that say where a request ends or make it wait. They are what they are here; others test them.
const FRAMING: [&str; 6] = ["connection", "content-length", "expect", "prefer", "transfer-encoding", "upgrade"];

static SERVER: LazyLock<SocketAddr> = LazyLock::new(serve);
static CALLER: LazyLock<Mutex<Person>> = LazyLock::new(|| Mutex::new(register()));
static PEER: LazyLock<Person> = LazyLock::new(register);

/// Somebody with an account and a live session.
struct Person {
    token: String,
    id: UserId,
}

/// Bytes as a request: its answer is no failure of the server, and has the envelope if it is one of the client.
pub fn request(bytes: &[u8]) {
    let (line, rest) = split_at(bytes, b"\n");
    if line.is_empty() {
        return;
    }
    let (headers, body) = split_at(rest, b"\n\n");
    let mut caller = CALLER.lock().expect("the caller");
    let answer = exchange(&replace(line, &caller), &replace(headers, &caller), &replace(body, &caller));
    let (head, text) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status: u16 = head.get(9..12).and_then(|code| code.parse().ok()).expect("a status");
    assert_ne!(status, 500, "{answer}");
    if status >= 400 && !text.is_empty() {
        let envelope: Value = serde_json::from_str(text).expect("the envelope");
        assert!(envelope["code"].is_string() && envelope["message"].is_string(), "{answer}");
    }
    // Whoever has logged out or deleted the account cannot go on.
    if status < 300 && !line.starts_with(b"GET") && exchange(b"GET /api/users/profile", &bearer(&caller), b"").contains(" 401 ") {
        *caller = register();
    }
}

fn split_at<'a>(bytes: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    let place = bytes.windows(separator.len()).position(|window| window == separator);
    place.map_or((bytes, &[]), |place| (&bytes[..place], &bytes[place + separator.len()..]))
}

/// Puts what they stand for in the place of the names.
fn replace(bytes: &[u8], caller: &Person) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let chat = ChatId::between(caller.id, PEER.id).expect("two people");
    text.replace("TOKEN", &caller.token).replace("PEER", &PEER.id.to_string()).replace("CHAT", &chat.to_string()).into_bytes()
}

fn bearer(person: &Person) -> Vec<u8> {
    format!("Authorization: Bearer {}", person.token).into_bytes()
}

/// One request on a connection of its own; the whole answer.
fn exchange(line: &[u8], headers: &[u8], body: &[u8]) -> String {
    let mut sent = [line, b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"].concat();
    for header in headers.split(|byte| *byte == b'\n').filter(|header| !header.is_empty() && !is_framing(header)) {
        sent.extend([header, b"\r\n"].concat());
    }
    if !body.is_empty() {
        sent.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    sent.extend([b"\r\n", body].concat());
    let mut connection = TcpStream::connect(*SERVER).expect("a connection");
    connection.set_read_timeout(Some(PATIENCE)).expect("a time");
    // A server that refuses by the head may close before it has read all; what it said can be read all the same.
    let _all_or_part = connection.write_all(&sent);
    let mut answer = Vec::new();
    let _end_or_reset = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_framing(header: &[u8]) -> bool {
    let name = header.split(|byte| *byte == b':').next().unwrap_or_default();
    FRAMING.iter().any(|framing| name.trim_ascii().eq_ignore_ascii_case(framing.as_bytes()))
}

/// Registers somebody new.
fn register() -> Person {
    let name = format!("f{}", &UserId::generate().to_string().replace('-', "")[13..]);
    let body = format!(r#"{{"username":"{name}","email":"{name}@example.com","password":"correct horse battery"}}"#);
    let answer = exchange(b"POST /api/auth/register", b"Content-Type: application/json", body.as_bytes());
    let value: Option<Value> = answer.split_once("\r\n\r\n").and_then(|(_, text)| serde_json::from_str(text).ok());
    let text_at = |pointer: &str| value.as_ref().and_then(|value| value.pointer(pointer)?.as_str().map(str::to_owned));
    let (token, id) = text_at("/token").zip(text_at("/user/id")).unwrap_or_else(|| panic!("{answer}"));
    Person { token, id: UserId::parse(&id).expect("an id") }
}

/// Serves the application on a thread of its own to the end of the process.
fn serve() -> SocketAddr {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder).expect("a store"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let waiting_room = WaitingRoom::new(LimitSettings::off().polls);
    store.listen(Arc::new(waiting_room.clone()));
    let app = App {
        rate_limits: RateLimits::new(LimitSettings::off(), ClientAddress::default(), Arc::clone(&store)),
        store,
        clock: Clock::default(),
        tokens: Tokens::new(&SECRET.into()),
        passwords: PasswordHasher::new(PasswordCost::LOWEST, 8, usize::MAX).expect("a hasher"),
        mailer: Mailer::default(),
        waiting_room,
        metrics: None,
        registration: RegistrationPolicy::Open,
        pseudonyms: Pseudonyms::new(&SECRET.into()),
        services: Service::ALL.to_vec(),
        cors_origins: vec!["https://app.example".to_owned()],
        is_https: true,
    };
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async { gateway::serve(listener, app).expect("a server").await.expect("served") });
    });
    address
}
