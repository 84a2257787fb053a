//! A proxy before a database that reads what passes: it may keep a message from those who ask for what the majority has, and
//! hold up what changes something.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mongodb::bson::{Bson, Document, deserialize_from_slice, serialize_to_vec};
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::support::wire::read;

/// The opcode of `OP_MSG`, and how many bytes stand before its first document: header, flags, kind of section.
const OP_MSG: i32 = 2013;
const BEFORE_DOCUMENT: usize = 21;
const CHANGES: [&str; 4] = ["insert", "update", "delete", "findAndModify"];

/// A running proxy; it ends with its runtime.
pub struct WireProxy {
    pub port: u16,
    rules: Arc<Rules>,
}

#[derive(Default)]
struct Rules {
    /// The number of the message that is kept back; 0 for none.
    hidden: AtomicI64,
    times_hidden: AtomicUsize,
    holds_changes: AtomicBool,
}

/// The requests of a connection whose answers are to be looked at.
type Watched = Arc<Mutex<HashSet<i32>>>;

impl WireProxy {
    pub async fn start(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let rules = Arc::new(Rules::default());
        let proxy = Self { port, rules: Arc::clone(&rules) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&address).await.expect("the server");
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let watched = Watched::default();
                tokio::spawn(ask(from_client, to_server, Arc::clone(&rules), Arc::clone(&watched)));
                tokio::spawn(answer(from_server, to_client, Arc::clone(&rules), watched));
            }
        });
        proxy
    }

    /// Keeps the messages of this number from majority reads; 0 ends that.
    pub fn hide(&self, seq: i64) {
        self.rules.hidden.store(seq, Ordering::SeqCst);
    }

    /// How often a message was kept back.
    pub fn times_hidden(&self) -> usize {
        self.rules.times_hidden.load(Ordering::SeqCst)
    }

    /// From now on what changes something does not get to the server.
    pub fn hold_changes(&self) {
        self.rules.holds_changes.store(true, Ordering::SeqCst);
    }
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, rules: Arc<Rules>, watched: Watched) {
    while let Some(message) = read(&mut from).await {
        let command = document(&message);
        let name = command.as_ref().and_then(|command| command.keys().next()).map_or("", String::as_str);
        if rules.holds_changes.load(Ordering::SeqCst) && CHANGES.contains(&name) {
            continue;
        }
        if command.as_ref().is_some_and(asks_the_majority_for_messages) {
            watched.lock().expect("unpoisoned").insert(number(&message, 4));
        }
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, rules: Arc<Rules>, watched: Watched) {
    while let Some(message) = read(&mut from).await {
        let is_watched = watched.lock().expect("unpoisoned").remove(&number(&message, 8));
        let message = if is_watched { without_hidden(message, &rules) } else { message };
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
}

fn number(message: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(message[at..at + 4].try_into().expect("four bytes"))
}

/// The first document of a message, which is the command or the answer.
fn document(message: &[u8]) -> Option<Document> {
    let is_one = number(message, 12) == OP_MSG && message.get(BEFORE_DOCUMENT - 1) == Some(&0);
    let rest = message.get(BEFORE_DOCUMENT..).filter(|_| is_one)?;
    deserialize_from_slice(&rest[..usize::try_from(number(rest, 0)).ok()?]).ok()
}

fn asks_the_majority_for_messages(command: &Document) -> bool {
    let level = command.get_document("readConcern").and_then(|concern| concern.get_str("level"));
    command.get_str("find").is_ok_and(|name| name == "messages") && level.is_ok_and(|level| level == "majority")
}

fn without_hidden(message: Vec<u8>, rules: &Rules) -> Vec<u8> {
    let hidden = rules.hidden.load(Ordering::SeqCst);
    let Some(mut answer) = document(&message) else { return message };
    let batch = answer.get_document_mut("cursor").and_then(|cursor| cursor.get_array_mut("firstBatch"));
    let Ok(batch) = batch else { return message };
    let before = batch.len();
    batch.retain(|found| seq(found) != Some(hidden));
    if batch.len() == before {
        return message;
    }
    rules.times_hidden.fetch_add(1, Ordering::SeqCst);
    let mut changed = message[..BEFORE_DOCUMENT].to_vec();
    changed.extend(serialize_to_vec(&answer).expect("a document"));
    let length = i32::try_from(changed.len()).expect("short").to_le_bytes();
    changed[..4].copy_from_slice(&length);
    changed
}

fn seq(message: &Bson) -> Option<i64> {
    message.as_document()?.get_document("_id").ok()?.get_i64("seq").ok()
}
